"""The command line: python -m pipeline. Exit codes: 0 done, 1 a run failed, 2 a parameter or argument is wrong."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import parameters, run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "run":
            values = dict(chosen.parameters)
            if chosen.run_dir is not None:
                values["run_dir"] = chosen.run_dir
            run.run(parameters.from_strings(values), chosen.force)
        elif chosen.command == "notebooks":
            for notebook in chosen.notebooks:
                run.execute_in_place(notebook)
    except parameters.ParameterError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except run.RunFailed as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m pipeline", description="Run the notebooks.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser(
        "run",
        help="prepare, train, evaluate and report",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_parameter_help(),
    )
    one.add_argument("--run-dir", metavar="DIR", help="the folder of the run's files (default: runs/default)")
    one.add_argument(
        "-p", dest="parameters", nargs=2, metavar=("NAME", "VALUE"), action="append", default=[], help="a parameter"
    )
    one.add_argument("--force", action="store_true", help="run again even if nothing has changed")
    some = commands.add_parser("notebooks", help="execute the committed notebooks again, in place")
    some.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    return parser


def _parameter_help() -> str:
    lines = ["parameters:"]
    for name, field in parameters.Parameters.model_fields.items():
        lines.append(f"  {name:20} {field.description}; {parameters.allowed(name)} (default: {field.default})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
