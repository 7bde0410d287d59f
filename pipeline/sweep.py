"""Sweeps: a YAML file of settings becomes points, the points become runs on Dask, and nothing is lost on the way.

Nothing assumes a shared disk. Notebooks, code and data travel to the workers as bytes, executed notebooks and
results come back as bytes, and only the client writes: a point's folder is whole once its run.json is there.
"""

import contextlib
import hashlib
import itertools
import json
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import files, parameters, run
from pipeline.parameters import ParameterError, Parameters

DATA_SETTINGS = ("source", "num_samples", "num_validation", "normalisation")
POINT_STAGES = ("02_train", "03_evaluate")
POINT_FILES = (*(f"{stage}.ipynb" for stage in POINT_STAGES), "model.npz", "history.json", "metrics.json")
Metric = Literal["validation_accuracy", "validation_error", "train_accuracy", "train_error"]


class Sweep(BaseModel):
    """What a sweep's YAML file says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    base: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    points: list[dict[str, Any]] = []
    select: Metric = "validation_accuracy"


class Point:
    """One setting of a sweep: its parameters, the folder of its run, and what is told of it."""

    def __init__(self, chosen: Parameters, sweep_dir: Path, varied: Iterable[str]) -> None:
        settings = chosen.model_dump(exclude={"run_dir"})
        self.id = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
        self.folder = sweep_dir / self.id
        self.parameters = chosen.model_copy(update={"run_dir": str(self.folder)})
        self.data = {name: settings[name] for name in DATA_SETTINGS}
        self.told = ", ".join(f"{name} {settings[name]}" for name in varied) or "the base"

    def record(self) -> dict[str, Any]:
        return files.read_json_or_empty(self.folder / "run.json")


# ---- from a file to points -------------------------------------------------------------------------------------


def read(path: Path) -> Sweep:
    """A sweep's definition. Raises ParameterError with what is wrong and what is allowed."""
    try:
        content = yaml.safe_load(path.read_text())
        return Sweep.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"{path} cannot be read as a YAML file: {error}") from None
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise ParameterError(
            "\n".join(
                [*lines, "A sweep has a name, and may have base, grid, points and select; see notebooks/sweeps/."]
            )
        ) from None


def points_of(sweep: Sweep, sweep_dir: Path) -> list[Point]:
    """All points, checked, each once. Raises ParameterError that tells of every wrong one."""
    crossed = [dict(zip(sweep.grid, values, strict=True)) for values in itertools.product(*sweep.grid.values())]
    settings = [sweep.base | point for point in (crossed if sweep.grid or not sweep.points else []) + sweep.points]
    varied = list(dict.fromkeys([*sweep.grid, *itertools.chain(*sweep.points)]))
    points, wrong = {}, []
    for setting in settings:
        try:
            if "run_dir" in setting:
                raise ParameterError("run_dir is not for a sweep to set: each point has a folder of its own.")
            # As text, since YAML takes 1e-3 for text, too.
            chosen = parameters.from_strings({name: str(value) for name, value in setting.items()})
        except ParameterError as error:
            wrong += [line for line in str(error).splitlines() if line not in wrong]
        else:
            point = Point(chosen, sweep_dir, varied)
            points[point.id] = point
    if sweep.select.startswith("validation") and any(point.data["num_validation"] == 0 for point in points.values()):
        wrong.append(f"select is {sweep.select}, but num_validation is 0. Select by a training figure, or validate.")
    if wrong:
        raise ParameterError("\n".join(wrong))
    return list(points.values())


# ---- on a worker -----------------------------------------------------------------------------------------------


def on_worker(code: Mapping[str, bytes], task: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the code out, once a worker, and run a point with it. Pickled whole: a worker needs the packages alone."""
    import hashlib
    import os
    import sys
    import tempfile
    from pathlib import Path

    digest = hashlib.sha256(b"".join(code[name] for name in sorted(code))).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"digits-by-hand-{os.getuid()}-{os.getpid()}-{digest}")
    for name, content in code.items():
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in ("pipeline", "helpers")]:
            del sys.modules[name]
    os.environ["PYTHONPATH"] = str(folder)  # for the kernels
    from pipeline import sweep

    return sweep.run_point(task)


def run_point(task: Mapping[str, Any]) -> dict[str, Any]:
    """Train and evaluate in a temporary folder; failures are returned, not raised through the scheduler."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="point-") as scratch:
        folder = Path(scratch)
        (folder / "data.npz").write_bytes(zlib.decompress(task["data"]))
        outcome = {"status": "done"}
        try:
            for stage in POINT_STAGES:
                notebook = run.NOTEBOOKS / f"{stage}.ipynb"
                run.execute(
                    notebook, folder / notebook.name, task["parameters"] | {"run_dir": scratch}, task["time_limit"]
                )
        except run.RunFailed as error:
            outcome = {"status": error.status, "error": str(error).splitlines()[0]}
        made = {name: (folder / name).read_bytes() for name in POINT_FILES if (folder / name).exists()}
        arrays = files.load_data(scratch).provenance["sha256"]
    return outcome | {"files": made, "scratch": scratch, "arrays": arrays, "duration_s": time.monotonic() - started}


# ---- on the client ---------------------------------------------------------------------------------------------


def run_sweep(
    path: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    time_limit: float | None = None,
    sweep_dir: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[Point]:
    """Run what is left of a sweep. Returns the points that have failed, now or before.

    Parameters
    ----------
    path : Path
        The YAML file.
    workers : int, optional
        Worker processes of a local cluster; by default one a core.
    scheduler : str, optional
        The address of a Dask scheduler to use instead.
    retry_failed : bool
        Run the points that failed before, and no others.
    time_limit : float, optional
        Seconds that any one cell of a point may take.
    sweep_dir : Path, optional
        By default runs/sweeps/NAME.
    say : callable
        Gets a line at a time of what happens.

    Raises
    ------
    ParameterError, DataError
        If the definition, or the data of a point, is wrong; nothing has been started then.
    """
    sweep = read(path)
    sweep_dir = (sweep_dir or files.ROOT / "runs" / "sweeps" / sweep.name).resolve()
    points = points_of(sweep, sweep_dir)
    for data in _distinct_data(points):
        files.split(**data)
    with run.listed_afterwards(sweep_dir, say), run.alone_in(sweep_dir):
        files.write_json(sweep_dir / "sweep.json", sweep.model_dump() | {"ids": [point.id for point in points]})
        todo = _left(points, retry_failed, say)
        say(f"{len(points)} points, {len(points) - len(todo)} of them need no run")
        if todo:
            data = {_key(data): _prepared(data, sweep_dir) for data in _distinct_data(todo)}
            with _client(workers, scheduler, len(todo)) as client:
                _run_all(client, sweep, points, todo, data, time_limit, say)
        results(points).to_csv(sweep_dir / "results.csv", index=False)
    return [point for point in points if point.record().get("status") != "done"]


def _left(points: list[Point], retry_failed: bool, say: Callable[[str], None]) -> list[Point]:
    """The points to run: those without a record that still holds, or with retry_failed those that failed."""
    todo = []
    for point in points:
        record = point.record()
        if retry_failed:
            wanted = bool(record) and record["status"] != "done"
        elif record and (changed := run.changed_inputs(record, point.parameters, run.inputs_of(point.parameters))):
            say(f"{point.id} runs again, because of {'; '.join(changed)}")
            wanted = True
        elif record and not _whole(point, record):
            say(f"{point.id} runs again, because of files that have been removed or altered since")
            wanted = True
        else:
            wanted = not record
        if wanted:
            todo.append(point)
    return todo


def _whole(point: Point, record: Mapping[str, Any]) -> bool:
    made = record.get("outputs", {}).items()
    return all(
        (point.folder / name).exists() and files.sha256_of_file(point.folder / name) == was for name, was in made
    )


def _key(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(data), sort_keys=True).encode()).hexdigest()[:12]


def _distinct_data(points: list[Point]) -> list[dict[str, Any]]:
    return list({_key(point.data): point.data for point in points}.values())


def _prepared(data: Mapping[str, Any], sweep_dir: Path) -> bytes:
    """data.npz of one data setting, compressed, made by 01_prepare unless it has been made before."""
    folder = sweep_dir / f"data-{_key(data)}"
    depends_on = run.inputs_of(parameters.from_values(data)) | {"settings": dict(data)}
    if files.read_json_or_empty(folder / "prepared.json") != depends_on:
        notebook = run.NOTEBOOKS / "01_prepare.ipynb"
        run.execute(notebook, folder / notebook.name, dict(data) | {"run_dir": str(folder)})
        files.write_json(folder / "prepared.json", depends_on)
    return zlib.compress((folder / "data.npz").read_bytes(), level=1)


@contextlib.contextmanager
def _client(workers: int | None, scheduler: str | None, most: int) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    # Data travels inside a task, some MB each: scattered data would be lost with the worker that holds it.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}):
        if scheduler:
            with Client(scheduler) as client:
                yield client
        else:
            count = min(workers or os.cpu_count() or 1, most)
            with (
                LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster,
                Client(cluster) as client,
            ):
                yield client


def _code() -> dict[str, bytes]:
    """Everything that a worker needs of the project."""
    names = ["helpers.py", *(f"notebooks/{stage}.ipynb" for stage in run.STAGES)]
    names += sorted(str(path.relative_to(files.ROOT)) for path in (files.ROOT / "pipeline").glob("*.py"))
    return {name: (files.ROOT / name).read_bytes() for name in names}


def _run_all(
    client: Any,
    sweep: Sweep,
    points: list[Point],
    todo: list[Point],
    data: Mapping[str, bytes],
    time_limit: float | None,
    say: Callable[[str], None],
) -> None:
    """Keep each worker busy with one point, no more: a worker's death takes all that it was given with it."""
    import cloudpickle
    from distributed import as_completed

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    code, waiting, running, started = _code(), list(reversed(todo)), {}, time.monotonic()
    futures = as_completed()
    while waiting or running:
        while waiting and len(running) < max(1, sum(client.nthreads().values())):
            point = waiting.pop()
            task = {
                "parameters": point.parameters.model_dump(),
                "data": data[_key(point.data)],
                "time_limit": time_limit,
            }
            future = client.submit(on_worker, code, task, key=f"point-{point.id}-{time.monotonic_ns()}", pure=False)
            running[future.key] = point
            futures.add(future)
        future = next(futures)
        point = running.pop(future.key)
        if future.status in ("cancelled", "lost"):
            waiting.append(point)
            continue
        _keep(point, _outcome(future))
        say(_progress(sweep, points, point, len(todo) - len(waiting) - len(running), len(todo), started))


def _outcome(future: Any) -> dict[str, Any]:
    from distributed.scheduler import KilledWorker

    if future.status != "error":
        return future.result()
    error = future.exception()
    if isinstance(error, KilledWorker):
        return {"status": "worker died", "error": "Its worker died, several times over.", "files": {}}
    return {"status": "failed", "error": f"{type(error).__name__}: {error}", "files": {}}


def _keep(point: Point, outcome: Mapping[str, Any]) -> None:
    """Write a point's files, its record last."""
    point.folder.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "report.html", *POINT_FILES):
        (point.folder / name).unlink(missing_ok=True)
    for name, content in outcome["files"].items():
        if name.endswith(".ipynb"):  # the folder where it was run means nothing here
            content = content.replace(outcome["scratch"].encode(), str(point.folder).encode())
        files.write_whole(point.folder / name, content)
    record = {
        "status": outcome["status"],
        "parameters": point.parameters.model_dump(),
        "inputs": run.inputs_of(point.parameters),
        "outputs": {name: files.sha256_of_file(point.folder / name) for name in outcome["files"]},
        **{name: outcome[name] for name in ("error", "arrays", "duration_s") if name in outcome},
    }
    files.write_json(point.folder / "run.json", record)


def _progress(sweep: Sweep, points: list[Point], point: Point, finished: int, count: int, started: float) -> str:
    record = point.record()
    left = (time.monotonic() - started) / finished * (count - finished)
    parts = [f"[{finished}/{count}] {point.id} {record['status']}: {point.told}"]
    if finished < count:
        parts.append(f"{left:.0f} s left")
    if best := selected(points, sweep.select):
        parts.append(f"best so far {sweep.select} {_metrics(best)[sweep.select]:.4f}: {best.told}")
    return " | ".join(parts)


# ---- results ---------------------------------------------------------------------------------------------------


def _metrics(point: Point) -> dict[str, Any]:
    return files.read_json_or_empty(point.folder / "metrics.json") if point.record().get("status") == "done" else {}


def selected(points: list[Point], metric: str) -> Point | None:
    """The best finished point by the metric; of equals the first."""
    finished = [(point, _metrics(point)[metric]) for point in points if metric in _metrics(point)]
    sign = -1 if metric.endswith("accuracy") else 1
    return min(finished, key=lambda pair: sign * pair[1], default=(None, None))[0]


def results(points: list[Point]) -> pd.DataFrame:
    """A row a point: its parameters, status and figures, without the test's, by which nothing may be chosen."""
    rows = []
    for point in points:
        record, metrics = point.record(), _metrics(point)
        figures = {name: value for name, value in metrics.items() if not name.startswith("test")}
        rows.append(
            {"id": point.id, "status": record.get("status", "not run")}
            | point.parameters.model_dump(exclude={"run_dir"})
            | figures
            | {"duration_s": record.get("duration_s"), "error": record.get("error")}
        )
    return pd.DataFrame(rows)
