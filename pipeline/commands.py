"""Define the commands of the command line, their options and their help.

Each command imports what it needs only when it is executed, so that help and error
messages appear at once.
"""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipeline import parameters
from pipeline.errors import InvalidFile
from pipeline.parameters import NAMED_SOURCES
from pipeline.paths import NOTEBOOKS, from_current_folder, normalise_source
from pipeline.results.stages import SWEEP

FOLDER = click.Path(file_okay=False)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False)
PAGE = click.Path(dir_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)
EXAMPLES = """\b
Examples:
  python -m pipeline run -p epochs 20 --run-dir runs/short
  python -m pipeline compare runs/default runs/short
  python -m pipeline sweep notebooks/sweeps/small.yaml
"""
PARAMETERS = "\b\nParameters, and their defaults:\n" + "\n".join(
    f"  {name:20} {field.description}; "
    f"{parameters.describe_allowed(name)} ({field.default})"
    for name, field in parameters.Parameters.model_fields.items()
)


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="digits-by-hand", message="%(version)s")
def main() -> None:
    """Train a small NumPy network in notebooks. Sweep, compare and verify its runs."""
    if not NOTEBOOKS.is_dir():
        problem = f"The notebooks are not at {NOTEBOOKS}"
        raise click.UsageError(f"{problem}: clone the project, and pip install -e .")
    forbid_import("rfc3987_syntax")  # jsonschema's; it takes 0.9 s, and is not needed
    logging.basicConfig(stream=sys.stdout, format="%(message)s", force=True)
    logging.getLogger("pipeline").setLevel(logging.INFO)


def forbid_import(name: str) -> None:
    """Make each import of a module fail, unless the module is already imported."""
    modules: dict[str, Any] = sys.modules
    modules.setdefault(name, None)  # which Python takes for a missing module


def read_parameters(options: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters that the options -p set, by name.

    options: the name and the value of each option, as text.

    If the source is a path, `normalise_source` is applied to it.
    """
    values = dict(options)
    source = values.get("source")
    if source and source not in NAMED_SOURCES:
        values["source"] = normalise_source(source)
    return values


def echo_path(label: str, path: Path) -> None:
    """Print a label, and the path of a file relative to the current folder."""
    click.echo(f"{label}: {os.path.relpath(path)}")


@main.command(
    "run",
    epilog=PARAMETERS,
    context_settings={"max_content_width": 160},
)
@click.option(
    "--run-dir",
    metavar="DIR",
    type=FOLDER,
    help="Default: runs/default, or a folder named after the parameters that differ.",
)
@click.option(
    "-p",
    "options",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter, such as -p epochs 5. There is no equals sign.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Run even if nothing has changed, or if another run is in the folder.",
)
def command_run(
    run_dir: str | None, options: Sequence[tuple[str, str]], force: bool
) -> None:
    """Prepare images, train and evaluate a network, and report."""
    checked = parameters.from_strings(read_parameters(options))
    from pipeline.execution import runs

    folder = None if run_dir is None else from_current_folder(run_dir)
    runs.run(checked, folder, force)


@main.command("sweep")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Points to train at once. Default: one per core.",
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Train on a Dask cluster: tcp://HOST:8786."
)
@click.option(
    "--sweep-dir", metavar="DIR", type=FOLDER, help="Default: runs/sweeps/NAME."
)
@click.option("--dry-run", is_flag=True, help="Show what would run, and train nothing.")
def command_sweep(file: Path, sweep_dir: str | None, **options: Any) -> None:
    """Train the remaining points of the sweep in FILE. Evaluate the selected points."""
    if options["scheduler"] and options["workers"]:
        raise click.UsageError("--scheduler allows no --workers.")
    from pipeline.sweeps.sweep import prepare_sweep

    # This reports an error in the file before the slow imports for training.
    folder = None if sweep_dir is None else from_current_folder(sweep_dir)
    sweep = prepare_sweep(file, folder)
    from pipeline.sweeps.execution import run_sweep

    run_sweep(sweep, **options)


@main.command("verify")
@click.argument("run_dir", type=EXISTING_FOLDER)
def command_verify(run_dir: str) -> None:
    """Repeat a finished run, or a sweep's selected points, and compare the results."""
    from pipeline.execution.verification import verify_each
    from pipeline.sweeps.selection import find_selected

    verify_each(find_selected(from_current_folder(run_dir)))


@main.command("notebooks")
@click.argument("paths", nargs=-1, required=True, type=EXISTING)
def command_notebooks(paths: tuple[Path, ...]) -> None:
    """Execute notebooks again, and store their new outputs."""
    from pipeline.engine import notebooks

    for path in paths:
        notebooks.execute_and_overwrite(path)


@main.command("report")
@click.argument("path", metavar="NOTEBOOK | RUN_DIR", type=EXISTING)
def command_report(path: Path) -> None:
    """Make a page of a notebook, finished run or sweep."""
    if not path.is_dir():
        from pipeline.reports import page

        name = from_current_folder(str(path.with_suffix("")))
        report = page.choose_page_path(name)
        page.write_notebook_page(path, report)
    elif (path / SWEEP).exists():
        from pipeline.sweeps import execution, sweep

        read = sweep.read_sweep(from_current_folder(str(path)))
        report = execution.write_sweep_report(read)
    else:
        report = make_run_page(from_current_folder(str(path)))
    echo_path("report", report)


def make_run_page(run_dir: str) -> Path:
    """Make the report of a finished run again, and return its path.

    Raises InvalidFile if the folder has no finished run, if a result was altered, or if
    the folder belongs to a point of a sweep, because a point has no page.
    """
    from pipeline.reports import run_report
    from pipeline.results.files import lock_folder
    from pipeline.results.point_folder import PointFolder, open_run

    folder = open_run(run_dir)
    record = folder.read_record()
    if isinstance(folder, PointFolder):
        command = parameters.make_command(record.parameters, "runs/NAME")
        advice = f"To make a run of its parameters: {command}"
        raise InvalidFile(folder.path, "is a point, which has no page", advice)
    with lock_folder(folder.path):
        run_report.write_run_report(folder, folder.read_evaluated())
    return folder.report_path


@main.command("compare")
@click.argument("first", type=FOLDER, metavar="RUN_DIR")
@click.argument("second", type=FOLDER, metavar="OTHER_RUN_DIR")
@click.option(
    "--output", type=PAGE, help="The page to write. Default: in runs/reports."
)
def command_compare(first: str, second: str, output: Path | None) -> None:
    """Compare two runs, points or sweeps, and say which is better."""
    from pipeline.results.provenance import check_helpers

    check_helpers()  # has to come before `comparison` imports helpers.py
    from pipeline import comparison

    folders = [from_current_folder(first), from_current_folder(second)]
    echo_path("report", comparison.write_comparison(folders, output))
