"""Places where a command may not write, folders and paths that are none."""

import shutil

from tests.bad_inputs import Case
from tests.bad_inputs.things import JSON, NO_FILES, dangling, fifo, folder, loop, npz, put

COMPARE = ["compare", "{}/run", "{}/other", "--output"]
REPORT = ["report", "{}/note.ipynb", "--output"]
DATA = ["data", "{}/small.npz", "-p", "num_samples", "40", "-p", "num_validation", "10", "--output"]
TARGETS = {  # an --output
    "its own notebook": "note.ipynb",
    "another notebook": "run/02_train.ipynb",
    "a run's model": "run/model.npz",
    "a run's data": "run/data.npz",
    "a run's record": "run/run.json",
    "a run's metrics": "run/metrics.json",
    "a run's history": "run/history.json",
    "a sweep's record": "sweep/sweep.json",
    "a sweep's results": "sweep/results.csv",
    "a sweep's file": "sweep.yaml",
    "a source": "small.npz",
    "another's page": "mine.html",
    "another's page of the same title": "titled.html",
    "a page that quotes ours": "quoting.html",
    "another's text": "mine.txt",
    "a folder": "run",
    "a folder by way of one that is not there": "nowhere/../run",
    "a file below a file": "mine.txt/new.html",
    "a link to a page": "link.html",
    "a FIFO": "fifo.html",
    "a link loop": "loop.html",
    "a dangling link": "dangling.html",
    "a name of 300 letters": "x" * 300 + ".html",
    "a name of 250 letters": "x" * 250 + ".html",
    "a name with an escape": "\x1b[31m.html",
    "a name with a line feed": "a\nb.html",
    "a name with bidi marks": "\u202elmth.html",
    "a name that is not UTF-8": "a\udcff.html",
}
FOREIGN = {  # a file of a run's folder, and what another has there
    "data.npz": npz(precious=[1, 2, 3]),
    "model.npz": npz(weights=[1.0]),
    "history.json": b'{"mine": true}',
    "metrics.json": b'{"accuracy": 1}',
    "run.json": b'{"name": "my race", "km": 10}',
    "report.html": b"<!DOCTYPE html><title>mine</title>",
    "01_prepare.ipynb": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}',
    "02_train.ipynb": b"mine",
    "checkpoint.npz": npz(mine=[1]),
}
RECORDS = {"no": None, "an empty": b"{}", "a foreign": b'{"name": "my race"}', "a whole": "whole", "a null": b"null"}
SWEEPS = {
    "results.csv": b"date,amount\n2024-01-01,7\n",
    "sweep.ipynb": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}',
    "report.html": b"<!DOCTYPE html><title>mine</title>",
    "report.json": b'{"mine": 1}',
    "sweep.json": b'{"broom": 1}',
}
COMMANDS = ("run", "verify", "compare", "report", "sweep FILE", "--sweep-dir", "index", "site", "source")
PATHS = {
    "a link loop": "loop",
    "a dangling link": "dangling",
    "below a link loop": "loop/x",
    "below a file": "mine.txt/x",
    "a FIFO": "fifo",
    "below a FIFO": "fifo/x",
    "300 letters": "x" * 300,
    "5,000 letters": "x/" * 2500,
    "2,000 folders": "x/" * 2000,
    "not UTF-8": "a\udcffb",
    "an escape": "a\x1b[31mb",
    "a line feed": "a\nb",
    "bidi marks": "a\u202eb",
    "a space": " ",
    "nothing": "",
    "a device": "/dev/null/x",
    "a file": "mine.txt",
}


def cases():
    for label, target in TARGETS.items():
        for name, command in (("report", REPORT), ("compare", COMPARE), ("data", DATA)):
            yield Case("--output", f"{label}, {name}", lambda f, c=command, t=target: _output(f, c, t), "--output")
    for name, content in FOREIGN.items():
        for label, record in RECORDS.items():
            if name != "run.json":
                yield Case(
                    "folders",
                    f"{name} beside {label} run.json",
                    lambda f, n=name, c=content, r=record: _run(f, n, c, r),
                    name,
                )
    yield Case("folders", "run.json of another", lambda f: _run(f, "run.json", FOREIGN["run.json"], None), "run.json")
    for label in ("a folder", "a FIFO", "a dangling link", "a link loop"):
        yield Case(
            "folders", f"data.npz is {label}", lambda f, c=NO_FILES[label]: _run(f, "data.npz", c, None), "data.npz"
        )
        yield Case(
            "folders", f"run.json is {label}", lambda f, c=NO_FILES[label]: _run(f, "run.json", c, None), "run.json"
        )
        yield Case("folders", f"index.html is {label}", lambda f, c=NO_FILES[label]: _index(f, c), "index.html")
    for name, content in SWEEPS.items():
        yield Case("folders", f"a sweep over {name}", lambda f, n=name, c=content: _sweep(f, "new", n, c), name)
        yield Case(
            "folders", f"a sweep whose {name} is another's", lambda f, n=name, c=content: _sweep(f, "sweep", n, c), name
        )
    yield Case("folders", "a sweep over a run", lambda f: ["sweep", f / "sweep.yaml", "--sweep-dir", f / "run"], "run")
    yield Case("folders", "a sweep over runs", lambda f: ["sweep", f / "sweep.yaml", "--sweep-dir", f], "run.json")
    yield Case("folders", "a sweep over another", lambda f: _other_sweep(f), "small")
    yield Case("folders", "a point that is another's", _foreign_point, "data.npz")
    yield Case("folders", "the data of another in a point", _foreign_data_of_a_point, "data.npz")
    yield Case("folders", "an index over another's page", lambda f: _index(f, b"<title>mine</title>"), "index.html")
    yield Case("folders", "a report over another's page", _foreign_report, "report.html")
    yield Case("folders", "a site over another's page", lambda f: _site(f, "index.html"), "site")
    yield Case("folders", "a site over another's lesson", lambda f: _site(f, "why.html"), "why.html")
    yield Case("folders", "a site in the project's folder", lambda f: ["site", "notebooks"], "notebooks")
    yield Case("folders", "a run among the installed packages", lambda f: ["run", "--run-dir", ".venv/x"], ".venv")
    yield Case("folders", "an index in the project's folder", lambda f: ["index", "tests"], "tests")
    yield Case(
        "folders", "a run in the project's folder", lambda f: ["run", "--run-dir", "notebooks/data"], "notebooks"
    )
    for name, content in JSON.items():
        yield Case(
            "folders",
            f"report.json is {name}",
            lambda f, c=content: _sweep(f, "sweep", "report.json", c),
            "report.json",
        )
    for number, (label, path) in enumerate(PATHS.items()):
        everywhere = label in ("a link loop", "not UTF-8", "300 letters")
        for place, command in enumerate(COMMANDS):
            if everywhere or ((number + place) % 3 == 0 and (label, command) != ("a dangling link", "--sweep-dir")):
                yield Case("paths", f"{label}, {command}", lambda f, p=path, c=command: _at(f, p, c), "")


def _places(f):
    for name, what in {"loop": loop, "dangling": dangling, "fifo": fifo}.items():
        what(f / name)
        what(f / f"{name}.html")
    (f / "mine.txt").write_text("mine")
    (f / "mine.html").write_text("<!DOCTYPE html><html><head><title>mine</title></head></html>")
    (f / "titled.html").write_text("<!DOCTYPE html><html><head><title>Runs</title></head></html>")
    quoted = "<p>Our pages have &lt;meta name=generator content=python -m pipeline&gt;, python -m pipeline</p>"
    (f / "quoting.html").write_text(f"<!DOCTYPE html><html><head><title>mine</title></head>{quoted}</html>")
    (f / "link.html").symlink_to("mine.html")


def _output(f, command, target):
    _places(f)
    return [*(part.format(f) for part in command), f / target]


def _run(f, name, content, record):
    target = f / "new"
    target.mkdir()
    if record == "whole":
        shutil.copy2(f / "run" / "run.json", target)
    elif record is not None:
        (target / "run.json").write_bytes(record)
    put(target / name, content)
    options = ("-p", "source", f / "small.npz", "-p", "num_samples", 40, "-p", "num_validation", 10)
    return ["run", "--run-dir", target, *options]


def _sweep(f, where, name, content):
    folder(f / "new")
    put(f / where / name, content)
    return ["sweep", f / "sweep.yaml", "--sweep-dir", f / where]


def _other_sweep(f):
    (f / "other.yaml").write_text("name: other\nbase: {epochs: 1}\n")
    return ["sweep", f / "other.yaml", "--sweep-dir", f / "sweep"]


def _foreign_point(f):
    """Have a point's folder hold another's data and no record."""
    point = next(path for path in (f / "sweep").iterdir() if path.is_dir())
    (point / "run.json").unlink()
    (point / "data.npz").write_bytes(FOREIGN["data.npz"])
    return ["sweep", f / "sweep.yaml", "--sweep-dir", f / "sweep"]


def _foreign_data_of_a_point(f):
    point = next(path for path in (f / "sweep").iterdir() if path.is_dir())
    (point / "data.npz").write_bytes(FOREIGN["data.npz"])
    return ["report", point]


def _foreign_report(f):
    (f / "run" / "report.html").write_bytes(FOREIGN["report.html"])
    return ["report", f / "run"]


def _index(f, content):
    put(f / "index.html", content)
    return ["index", f]


def _site(f, name):
    folder(f / "site")
    (f / "site" / name).write_text("<title>mine</title>")
    return ["site", f / "site"]


def _at(f, path, command):
    _places(f)
    place = path if path in ("", " ") or path.startswith("/") else f"{f}/{path}"
    return {
        "run": [
            "run",
            "--run-dir",
            place,
            "-p",
            "source",
            f / "small.npz",
            "-p",
            "num_samples",
            40,
            "-p",
            "num_validation",
            10,
        ],
        "verify": ["verify", place],
        "compare": ["compare", place, f / "other"],
        "report": ["report", place],
        "sweep FILE": ["sweep", place],
        "--sweep-dir": ["sweep", f / "sweep.yaml", "--sweep-dir", place],
        "index": ["index", place],
        "site": ["site", place],
        "source": ["run", "--run-dir", f / "new", "-p", "source", f"{place}.npz"],
    }[command]
