"""The command line: python -m pipeline. Exit codes: 0 done, 1 a run failed, 2 a parameter or argument is wrong."""

import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pipeline import files, parameters, run
from pipeline.files import DataError
from pipeline.parameters import ParameterError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run the notebooks."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that a run can be recorded


def _parameter_help() -> str:
    lines = [
        f"{name:20} {field.description}; {parameters.allowed(name)} (default: {field.default})"
        for name, field in parameters.Parameters.model_fields.items()
    ]
    return "\n".join(["\b", "Parameters:", *lines])


@main.command("run", epilog=_parameter_help(), context_settings={"max_content_width": 160})
@click.option("--run-dir", metavar="DIR", help="The folder of the run's files; runs/default unless given.")
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter, as papermill has it.")
@click.option("--force", is_flag=True, help="Run again even if nothing has changed.")
def run_command(run_dir: str | None, given: tuple[tuple[str, str], ...], force: bool) -> None:
    """Prepare, train, evaluate and report."""
    pairs = [*given, *([("run_dir", run_dir)] if run_dir is not None else [])]
    values = dict(pairs)
    for name in values:
        if len(told := [value for other, value in pairs if other == name]) > 1:
            raise ParameterError(f"{name} is given more than once: {', '.join(told)}.")
    run.run(parameters.from_strings(values), force)


@main.command("sweep")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(1), help="Processes of a local Dask cluster; one a core unless given.")
@click.option("--scheduler", metavar="ADDRESS", help="A running Dask scheduler to use instead.")
@click.option("--retry-failed", is_flag=True, help="Run the points that failed before, and no others.")
@click.option("--time-limit", type=click.IntRange(1), help="Seconds that any one cell of a point may take.")
@click.option("--sweep-dir", type=click.Path(path_type=Path), help="The sweep's folder; runs/sweeps/NAME unless given.")
@click.option("--no-report", is_flag=True, help="Do not write the sweep's report; each point has its own.")
def sweep_command(file: Path, sweep_dir: Path | None, no_report: bool, **options: Any) -> None:
    """Run the points of a sweep's YAML FILE that are not done yet."""
    if options["workers"] and options["scheduler"] is not None:
        raise ParameterError("--workers is for a cluster of this machine; with --scheduler, start workers there.")
    from pipeline import sweep  # pandas

    failed = sweep.run_sweep(
        file, sweep_dir=sweep_dir, with_report=not no_report, say=lambda line: click.echo(line), **options
    )
    if failed:
        hint = "" if options["retry_failed"] else " (--retry-failed runs what failed again)"
        lines = [f"{len(failed)} {'point' if len(failed) == 1 else 'points'} did not finish{hint}:"]
        for point in failed:
            record = point.record()
            told = [f"{point.id} {record.get('status', 'not run')}", point.told, record.get("error")]
            lines.append(textwrap.shorten(": ".join(filter(None, told)), 200, placeholder=" ..."))
        if options["retry_failed"] and not all(point.record() for point in failed):
            lines.append("The points that have not been run yet run without --retry-failed.")
        raise run.RunFailed("\n".join(lines))


@main.command("verify")
@click.argument("run_dir")
def verify_command(run_dir: str) -> None:
    """Do the finished run of RUN_DIR again elsewhere, and say what is equal."""
    if not run.verify(run_dir):
        raise run.RunFailed(f"{run_dir} does not come out equal.")


@main.command("notebooks")
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def notebooks_command(notebooks: tuple[Path, ...]) -> None:
    """Execute committed NOTEBOOKS again, in place."""
    for notebook in notebooks:
        run.execute_in_place(notebook)


@main.command("report")
@click.argument("notebook", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="runs/reports/NAME.html unless given.")
def report_command(notebook: Path, output: Path | None) -> None:
    """Render an executed NOTEBOOK as one HTML file that opens without a network."""
    from pipeline import report  # a second

    output = output or files.ROOT / "runs" / "reports" / f"{notebook.stem}.html"
    report.write_notebook_report(notebook, output)
    click.echo(f"report: {output}")


@main.command("compare")
@click.argument("run_dirs", nargs=-1, metavar="RUN_DIR RUN_DIR...")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="In runs/reports unless given.")
def compare_command(run_dirs: tuple[str, ...], output: Path | None) -> None:
    """Lay finished runs, or points of sweeps, side by side in one HTML file that opens without a network."""
    from pipeline import compare  # Numba and Matplotlib

    comparison = compare.compare(run_dirs)
    output = output or compare.default_output(comparison)
    with _writing(output):
        compare.write_report(comparison, output)
    click.echo(f"report: {output}")


@main.command("index")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
def index_command(folder: Path | None) -> None:
    """Write the list of all runs and sweeps below FOLDER, runs/ unless given, into its index.html."""
    from pipeline import index

    folder = folder or index.RUNS
    with _writing(folder / "index.html"):
        click.echo(f"index: {index.write_index(folder)}")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A path that cannot be written to is a wrong argument, told as such."""
    try:
        yield
    except OSError as error:
        raise ParameterError(f"{path} cannot be written ({error.strerror}). Choose another place.") from None


def _exit_code() -> int:
    for name, count in run.ONE_THREAD.items():
        os.environ.setdefault(name, count)
    try:
        main.main(prog_name="python -m pipeline", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (ParameterError, DataError) as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    except run.RunFailed as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_exit_code())
