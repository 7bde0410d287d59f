"""Read the command line: arguments in, exit codes out.

Exit codes: 0 done; 1 a run failed; 2 a parameter or an argument is wrong; 128 and the signal's number if one has
stopped it, so 130 for Ctrl-C.
"""

import sys

if not __package__:
    sys.exit("Error: this is a package, not a script. Start it from the project's folder: python -m pipeline")

from pipeline import signals

if __name__ == "__main__":
    signals.handle(insist=False)  # before the other imports, of 0.3 s or more: in them, Ctrl-C would be a traceback

import gc
import io
import logging
import re
import signal
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

if missing := [name for name in ("click", "pydantic") if find_spec(name) is None]:
    sys.exit(f"Error: {missing[0]} is not installed here. Activate the environment first: source .venv/bin/activate")

import click

from pipeline import console, errors, parameters, unexpected

# Imports stand within commands where help and refusals would wait for them: NumPy takes 0.1 s, papermill 0.4 s.


class _FromHere(click.Path):
    """A path, from where one stands, as which shells complete it; what is there is looked at later."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return parameters.from_root(value)


FOLDER = _FromHere(file_okay=False)
OUTPUT = click.Path(dir_okay=False, path_type=Path)


def _examples(*lines: str, title: str = "Examples:") -> str:
    """Return lines that click does not fill, for the end of a help text."""
    return "\n".join(["\b", title, *(f"  python -m pipeline {line}" for line in lines)])


EXAMPLES = _examples(
    "run                                      train with the defaults, and report",
    "run -p epochs 20 --run-dir runs/short    train with another parameter",
    "sweep notebooks/sweeps/small.yaml        train many, and select the best",
    "compare runs/default runs/short          see what differs, and what is better",
    "verify runs/default                      run it again, and see that it is equal",
    title="What people do:",
)


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="digits-by-hand", message="%(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Log more, with time and origin.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error that was not expected.")
def main(verbose: bool) -> None:
    """Train a network that is written by hand, in three notebooks. Sweep, compare and verify such runs."""
    console.show(logging.DEBUG if verbose else logging.INFO)


PARAMETERS = [
    f"{name:20} {field.description}; {parameters.allowed(name)} (default: {field.default})"
    for name, field in parameters.Parameters.model_fields.items()
]
RUN_EXAMPLES = _examples("run", "run -p relu_grad_inactive 0 --run-dir runs/true-derivative")
RUN_EPILOG = "\n".join([RUN_EXAMPLES, "", "\b", "Parameters:", *PARAMETERS])

_given = click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter; repeatable.")
_output = click.option("--output", type=OUTPUT, help="The page to write; in runs/reports unless given.")


@main.command("run", epilog=RUN_EPILOG, context_settings={"max_content_width": 160})
@click.option(
    "--run-dir",
    metavar="DIR",
    type=click.Path(),
    help="Where its files go, in place of an older run's; the project's runs/default unless given.",
)
@_given
@click.option("--force", is_flag=True, help="Run again even if nothing has changed.")
def run_command(run_dir: str | None, given: tuple[tuple[str, str], ...], force: bool) -> None:
    """Prepare, train, evaluate and report."""
    values = _named([*given, *([("run_dir", run_dir)] if run_dir is not None else [])])
    place = values.pop("run_dir", "runs/default")
    chosen = parameters.from_strings(values)
    parameters.check_source(chosen.source)
    from pipeline import runs

    runs.run(chosen, place, force)


def _named(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return values by their names, each of which may be given once; their paths begin where one stands."""
    for name in (values := dict(pairs)):
        if len(listed := [value for other, value in pairs if other == name]) > 1:
            raise errors.InvalidParameter(f"{name} is given more than once: {', '.join(listed)}. Give it once.")
    paths = {"run_dir"} if values.get("source") in parameters.NAMED_SOURCES else {"run_dir", "source"}
    return values | {name: parameters.from_root(values[name]) for name in values.keys() & paths}


@main.command("data", epilog=_examples("data my-pictures", "data my-pictures/train.csv -p num_samples 500"))
@click.argument("source", type=click.Path())
@_given
@_output
def data_command(source: str, given: tuple[tuple[str, str], ...], output: Path | None) -> None:
    """Show what a source holds, before training.

    Print how its pictures are read and split, and the command that trains with it. SOURCE is what the parameter of
    that name may be: a folder of your own pictures, for example, from where you stand.
    """
    values = _named([("source", source), *given])
    parameters.check_source(values["source"])
    from pipeline import preview

    preview.show(values, output)


@main.command(
    "sweep",
    epilog=_examples(*(f"sweep notebooks/sweeps/small.yaml{end}" for end in ("", " --workers 1 --retry-failed"))),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--workers", metavar="COUNT", type=click.IntRange(1), help="Points at a time; cores + 1 unless set.")
@click.option("--scheduler", metavar="ADDRESS", help="Train on the workers of a Dask scheduler: tcp://HOST:8786.")
@click.option(
    "--connect-timeout",
    metavar="SECONDS",
    type=click.IntRange(1, 3600),
    default=10,
    help="For the first answer of the scheduler; default 10.",
)
@click.option("--retry-failed", is_flag=True, help="Run the points that failed before, and no others.")
@click.option(
    "--time-limit", metavar="SECONDS", type=click.IntRange(1, 10**9), help="How long a cell of a training may take."
)
@click.option("--sweep-dir", metavar="DIR", type=FOLDER, help="The sweep's folder; runs/sweeps/NAME unless given.")
@click.option("--many", is_flag=True, help="Run more than 100,000 points, up to a million.")
@click.option("--no-report", is_flag=True, help="Do not write the sweep's report.")
def sweep_command(file: Path, sweep_dir: str | None, no_report: bool, **options: Any) -> None:
    """Train many runs, and select the best.

    FILE is a sweep's YAML. Points that are done already are not trained again. The best configuration alone is
    evaluated.
    """
    if options["workers"] and options["scheduler"] is not None:
        raise errors.InvalidParameter("--workers is for this machine; with --scheduler, start workers there.")
    from pipeline.sweeps import execution

    if failed := execution.run_sweep(file, sweep_dir, with_report=not no_report, **options):
        raise errors.PointsFailed(execution.described(failed, options["retry_failed"]))


@main.command("verify", epilog=_examples("verify runs/default", "verify runs/sweeps/small/0123456789ab"))
@click.argument("run_dir", type=FOLDER)
def verify_command(run_dir: str) -> None:
    """Verify that a run is reproduced. It is run again elsewhere; what is in RUN_DIR stays as it is."""
    from pipeline import runs

    runs.verify(run_dir)


@main.command("notebooks", epilog=_examples("notebooks notebooks/why.ipynb"))
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def notebooks_command(notebooks: tuple[Path, ...]) -> None:
    """Execute NOTEBOOKS again, in place."""
    from pipeline.notebooks import execute_in_place

    for notebook in notebooks:
        execute_in_place(notebook)


@main.command("report", epilog=_examples("report runs/default", "report notebooks/why.ipynb --output why.html"))
@click.argument("path", metavar="NOTEBOOK | RUN_DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--output", type=OUTPUT, help="The page to write of a notebook; runs/reports/NAME.html unless given.")
def report_command(path: Path, output: Path | None) -> None:
    """Render a notebook or a run as one page.

    It is an HTML file that opens without a network. The notebook is shown as it was executed; a point of a sweep is
    evaluated for it.
    """
    if path.is_dir():
        if output:
            raise errors.InvalidParameter(f"--output is for a notebook; the report of {path} is written there.")
        from pipeline import runs

        click.echo(console.wrote("report", runs.report(str(path.resolve()))))
        return
    from pipeline import outputs
    from pipeline.reports import rendering

    page = outputs.page(output, outputs.named_after(path))
    rendering.write_notebook_report(path, page)
    click.echo(console.wrote("report", page))


@main.command("compare", epilog=_examples("compare runs/default runs/true-derivative"))
@click.argument("run_dirs", nargs=-1, type=FOLDER, metavar="RUN_DIR RUN_DIR...")
@_output
def compare_command(run_dirs: tuple[str, ...], output: Path | None) -> None:
    """Compare runs, or points of sweeps. The page is an HTML file that opens without a network."""
    from pipeline import comparison

    click.echo(console.wrote("report", comparison.write_report(run_dirs, output)))


@main.command("index", epilog=_examples("index", "index runs/sweeps"))
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
def index_command(folder: Path | None) -> None:
    """Write the list of all runs and sweeps. Those below FOLDER, runs/ unless given, go into its index.html."""
    from pipeline.reports import index

    click.echo(console.wrote("index", index.write_index(folder or parameters.RUNS)))


@main.command("site", epilog=_examples("site", "site public"))
@click.argument("folder", required=False, type=FOLDER)
def site_command(folder: str | None) -> None:
    """Write notebooks as a static site. Its pages, with three reports, go into FOLDER, runs/site unless given."""
    from pipeline import site

    click.echo(console.wrote("site", site.write_site(parameters.ROOT / ("runs/site" if folder is None else folder))))


def _exit_code() -> int:
    """Run the command. Whatever it meets ends in one message, and a traceback only with --debug."""
    try:
        signals.check()
        parameters.check_surroundings()
        name = "digits" if Path(sys.argv[0]).stem == "digits" else "python -m pipeline"
        main.main(prog_name=name, standalone_mode=False)
        return 0
    except click.ClickException as error:
        error.show(shown := io.StringIO())
        names = "|".join(parameters.NAMES).replace("_", "[-_]")  # --epochs 20, -p epochs=20, or -p epochs alone
        found = re.search(rf"--({names})(?![-\w])|-p ({names})(?==| -|$)", " ".join(sys.argv))
        lines = list(map(errors.shown, shown.getvalue().splitlines()))
        if found:
            hint = f"A parameter is given as: -p {(found[1] or found[2]).replace('-', '_')} VALUE"
            # -p takes for the value whatever follows, and click then blames what is left over
            lines = [*lines[:-1], f"Error: {hint}"] if type(error) is click.UsageError else [*lines, hint]
        click.echo("\n".join(lines), err=True)
        return 2
    except errors.PipelineError as error:
        click.echo(console.plain(f"Error: {error}"), err=True)
        return 2 if isinstance(error, ValueError) else 1
    except (KeyboardInterrupt, click.Abort) as error:  # click raises Abort from it
        number: int = getattr(error.__cause__ or error, "number", signal.SIGINT)
        click.echo(signals.message(number), err=True)
        return 128 + number
    except Exception as error:  # noqa: BLE001 - the boundary: what nobody expected
        if "--debug" in sys.argv:
            traceback.print_exc()
        click.echo(console.plain(f"Error: {unexpected.describe(error)}"), err=True)
        return 1


def command_line() -> None:
    """Do what ``python -m pipeline`` does; installed as ``digits``, which a shell can complete."""
    gc.set_threshold(10_000)  # else looking for garbage takes a tenth of the time of imports
    signals.handle()
    console.open_streams(signals.hold)
    code = _exit_code()
    if code > 128:
        console.close_full_streams()
    signals.ignore()
    sys.unraisablehook = lambda _: None  # what is closed in the end finds no log any more
    gc.freeze()  # so that ending does not take 0.15 s, in which everything is looked through for garbage
    sys.exit(code)


if __name__ == "__main__":
    command_line()
