"""Run the cases of the table, with limits, in processes forked from one that has imported everything.

The command of a case is what `python -m pipeline` does, but that a notebook is never executed: a bad input that gets
as far as that has been accepted. Reads the ids of cases, one a line, and writes what came of each as JSON.
"""

import gc
import hashlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import stat
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

from pipeline import __main__, comparison, kernels, notebooks, parameters, provenance, ranking, runs, site, storage  # noqa: F401
from pipeline.datasets import split_source
from pipeline.model import Model
from pipeline.records import Epoch, Metrics, RunRecord, Status, SweepRecord, Trained
from pipeline.reports import index, rendering
from pipeline.run_folder import RunFolder, SweepFolder
from pipeline.sweeps import definition, execution, results, training  # noqa: F401
from tests.bad_inputs import cases
from tests.conftest import VALIDATED, write_small_source

SECONDS = 10  # of the processor, for what takes well under one
PATIENCE = 60.0  # seconds on the clock, of a machine that has other work
MEMORY = 200 * 2**20  # bytes, more than the process has that all are forked from
SMALL = {"num_samples": 40, "num_validation": 10, "hidden_size": 5, "epochs": 3}
SWEEP = f"name: small\nbase: {json.dumps(SMALL)}\ngrid: {{seed: [1, 2]}}\npoints: []\n"
NOTE = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A note\n\nText."}


def accepted(*_, **__):
    raise AssertionError("a bad input was accepted")


def make_run(path, source, keep_data=True, stages=("01_prepare", "02_train", "03_evaluate"), **changed):
    """Make a finished run by hand, as the notebooks and the pipeline leave one; its outputs are not recorded."""
    chosen = parameters.from_values(SMALL | {"source": str(source)} | changed)
    data, folder = split_source(chosen.source, chosen.num_samples, chosen.num_validation), RunFolder(path)
    rng = np.random.default_rng(chosen.seed)
    model = Model(rng.normal(size=(784, 5)), rng.normal(size=(5, 10)), 255.0)
    history = [Epoch(**VALIDATED)] * 3
    if keep_data:
        folder.write_data(data)
    folder.write_model(model, history)
    trained = Trained(**history[-1].model_dump(), weights_sha256=model.sha256)
    record = RunRecord.begin(chosen.model_dump(), provenance.inputs_of(chosen, stages)).changed(duration_s=1.0)
    record = record.changed(status=Status.DONE, arrays=dict(data.source_sha256))
    if keep_data:
        folder.write_metrics(Metrics(**trained.model_dump(), test_error=0.5, test_accuracy=0.5, test_images=30))
    else:
        record = record.changed(metrics=trained, outputs=folder.digests())
    folder.write_record(record)


def make_template(folder):
    """Make what each case begins with: two runs, a sweep and its file, a notebook and a source."""
    source, _ = write_small_source(folder)
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [NOTE]}
    for name in ("run", "other"):
        make_run(folder / name, source, seed=len(name))
        (folder / name / "02_train.ipynb").write_text(json.dumps(content))
    (folder / "sweep.yaml").write_text(SWEEP.replace("}", f", source: {source}}}", 1))
    sweep, place = definition.read(folder / "sweep.yaml"), SweepFolder(folder / "sweep")
    points = definition.points_of(sweep, place)
    for point in points:
        make_run(point.folder.path, source, False, ["02_train"], seed=point.parameters.seed)
    ids = [point.id for point in points]
    storage.write_whole(place.record, storage.json_bytes(SweepRecord(**dict(sweep), ids=ids, configurations=[ids])))
    results.write(definition.points_of(sweep, place), place)
    (folder / "note.ipynb").write_text(json.dumps(content))


def contents(folder):
    """Return kind and content of all that is below a folder, but for the locks of folders."""
    found = {}
    for where, folders, files in os.walk(os.fsencode(folder)):
        for name in folders + files:
            path = os.path.join(where, name)  # noqa: PTH118 - in bytes
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                kind = os.fsdecode(os.readlink(path))  # noqa: PTH115 - in bytes
            elif stat.S_ISREG(status.st_mode) and status.st_size < 10**8:
                with open(path, "rb") as file:  # noqa: PTH123
                    kind = hashlib.sha256(file.read()).hexdigest()
            else:
                kind = f"{stat.S_IFMT(status.st_mode)} {status.st_size * stat.S_ISREG(status.st_mode)}"
            if name != storage.LOCK.encode():
                found[os.fsdecode(os.path.relpath(path, os.fsencode(folder)))] = kind
    return found


def memory():
    """Return how many bytes of addresses this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def run(arguments, output):
    """Do what the command line does, with limits, and return its exit code."""
    limit, used = memory() + MEMORY, resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    seconds = int(used.ru_utime + used.ru_stime) + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    sys.argv, streams = ["pipeline", *(str(argument) for argument in arguments)], [os.dup(1), os.dup(2)]
    with open(output, "wb") as file:  # noqa: PTH123
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            return __main__._exit_code()
        except BaseException:  # noqa: BLE001 - what the command line has not handled
            traceback.print_exc()
            return 99
        finally:
            for number, stream in enumerate((sys.stdout, sys.stderr), start=1):
                stream.flush()
                os.dup2(streams[number - 1], number)
                os.close(streams[number - 1])


def try_case(case, template):
    with tempfile.TemporaryDirectory(prefix="bad-") as scratch:
        folder = Path(scratch, "case")
        shutil.copytree(template, folder)
        arguments, output = case.make(folder), Path(scratch, "output")
        before = contents(folder)
        code, after = run(arguments, output), contents(folder)
        text = output.read_bytes().decode(errors="backslashreplace")
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        pages = {name: (folder / name).read_text(errors="replace") for name in changed if name in case.writes}
        return {"code": code, "output": text[-20_000:], "changed": changed, "pages": pages}


class Child:
    """A process, forked from this one, that runs the cases of one surface; a fork takes as long as a case does."""

    def __init__(self, surface, found, template):
        self.surface = surface
        here, there = socket.socketpair()
        self.line, self.end, self.pid = here.makefile("rw"), here, os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                here.close()
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                with there.makefile("rw") as line:
                    for identity in line:
                        line.write(json.dumps(try_case(found[identity.rstrip("\n")], template)) + "\n")
                        line.flush()
            except BaseException:  # noqa: BLE001 - of the case itself
                traceback.print_exc()
            finally:
                os._exit(1)
        there.close()

    def answer(self, identity):
        """Return what came of a case; None if the process has died of it, or takes too long."""
        self.line.write(f"{identity}\n")
        self.line.flush()
        readable, _, _ = select.select([self.end], [], [], PATIENCE)
        return (readable and self.line.readline()) or None

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.line.close()
        self.end.close()


def main():
    notebooks.papermill.execute_notebook = accepted
    kernels.prepare = lambda *_, **__: None
    training.workers = accepted
    found = cases()
    with tempfile.TemporaryDirectory(prefix="bad-inputs-") as template:
        make_template(Path(template))
        rendering.write_notebook_report(Path(template, "note.ipynb"), Path(template, "page.html"))  # compiles templates
        index.write_index(Path(template))
        for name in ("page.html", "index.html"):
            Path(template, name).unlink()
        gc.freeze()  # so that a fork copies as little as can be
        print("ready", flush=True)
        child = None
        for identity in (line.rstrip("\n") for line in sys.stdin):
            if child is None or child.surface != found[identity].surface:
                if child:
                    child.kill()
                child = Child(found[identity].surface, found, template)
            if (answer := child.answer(identity)) is None:
                child.kill()
                child, answer = None, json.dumps({"code": None, "output": "killed, or out of time", "changed": []})
            print(answer.rstrip(), flush=True)
        if child:
            child.kill()


if __name__ == "__main__":
    main()
