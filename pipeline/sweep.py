"""Sweeps: a YAML file of settings becomes points, the points become runs on Dask, and nothing is lost on the way.

Nothing assumes a shared disk. Notebooks, code and data travel to the workers as bytes, executed notebooks and
results come back as bytes, and only the client writes: a point's folder is whole once its run.json is there.
"""

import contextlib
import hashlib
import itertools
import json
import logging
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import files, parameters, run
from pipeline.parameters import ParameterError, Parameters

DATA_SETTINGS = ("source", "num_samples", "num_validation", "normalisation")
POINT_STAGES = ("02_train", "03_evaluate")
POINT_FILES = (*(f"{stage}.ipynb" for stage in POINT_STAGES), *files.MADE[1:], "report.html")
REPORT = run.NOTEBOOKS / "sweep.ipynb"
# Run by each local worker as it starts: Ctrl-C is for the client, which ends its workers, and that is no news.
LOCAL_WORKER = """
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
"""
Metric = Literal["validation_accuracy", "validation_error", "train_accuracy", "train_error"]


class Sweep(BaseModel):
    """What a sweep's YAML file says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    base: dict[str, Any] = {}
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    points: list[dict[str, Any]] = []
    select: Metric = "validation_accuracy"


class Point:
    """One setting of a sweep: its parameters, the folder of its run, and what is told of it."""

    def __init__(self, chosen: Parameters, sweep_dir: Path, varied: Iterable[str]) -> None:
        settings = chosen.model_dump(exclude={"run_dir"})
        self.id = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
        self.folder = sweep_dir / self.id
        self.parameters = chosen.model_copy(update={"run_dir": files.run_dir_of(self.folder)})
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


def on_worker(code: Mapping[str, bytes], function: str, argument: Mapping[str, Any]) -> Any:
    """Lay the code out, once a worker, and call a function of this module there.

    It travels whole, not by its name: a worker needs the packages alone.
    """
    import hashlib
    import os
    import sys
    from pathlib import Path

    from distributed import get_worker

    digest = hashlib.sha256(b"".join(code[name] for name in sorted(code))).hexdigest()[:16]
    folder = Path(get_worker().local_directory, f"project-{digest}")  # Dask removes it with the worker
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

    return getattr(sweep, function)(argument)


def run_point(task: Mapping[str, Any]) -> dict[str, Any]:
    """Train, evaluate and report in a temporary folder; failures are returned, not raised through the scheduler."""
    started, since = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="point-") as scratch:
        folder = Path(scratch)
        (folder / "data.npz").write_bytes(zlib.decompress(task["data"]))
        record = {
            "status": "done",
            "started": started,
            "parameters": task["parameters"],
            "inputs": task["inputs"],
            "arrays": files.load_data(scratch).provenance["sha256"],
        }
        try:
            check_versions(task["inputs"]["versions"])
            for stage in POINT_STAGES:
                _execute_twice_at_most(stage, folder, task)
            record["duration_s"] = round(time.monotonic() - since, 1)
            from pipeline import report  # nbconvert, which takes a worker's first point a second

            report.write_run_report(folder, record, task["title"], task["again_in"])
        except run.RunFailed as error:
            record |= {"status": error.status, "error": str(error).splitlines()[0]}
        made = {name: (folder / name).read_bytes() for name in POINT_FILES if (folder / name).exists()}
    return {"record": {"duration_s": round(time.monotonic() - since, 1)} | record, "files": made, "scratch": scratch}


def check_versions(wanted: Mapping[str, str]) -> None:
    """Refuse a worker whose packages would make the record of its points untrue. Raises RunFailed."""
    here = run.versions_of(wanted)
    if differing := [
        f"{name} {here[name]}, not {version}" for name, version in wanted.items() if here[name] != version
    ]:
        raise run.RunFailed(f"The worker has {'; '.join(differing)}. Install there what requirements.txt says.")


def _execute_twice_at_most(stage: str, folder: Path, task: Mapping[str, Any]) -> None:
    """Execute a notebook of the point, and once more if its kernel dies: it may have been killed from outside."""
    notebook, values = run.NOTEBOOKS / f"{stage}.ipynb", task["parameters"] | {"run_dir": str(folder)}
    try:
        run.execute(notebook, folder / notebook.name, values, task["time_limit"], watched=False)
    except run.RunFailed as error:
        if error.status != "kernel died":
            raise
        run.execute(notebook, folder / notebook.name, values, task["time_limit"], watched=False)


# ---- on the client ---------------------------------------------------------------------------------------------


def run_sweep(
    path: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    time_limit: float | None = None,
    sweep_dir: Path | None = None,
    with_report: bool = True,
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
    with_report : bool
        Write sweep.ipynb and report.html, too.
    say : callable
        Gets a line at a time of what happens; of the points themselves only where nobody watches a progress bar.

    Raises
    ------
    ParameterError, DataError
        If the definition, the data of a point, the folder or the scheduler is wrong; nothing has been started then.
    RunFailed
        If another sweep is writing to the folder, or the scheduler goes away; finished points are kept.
    """
    sweep = read(path)
    sweep_dir = (sweep_dir or files.ROOT / "runs" / "sweeps" / sweep.name).resolve()
    points = points_of(sweep, sweep_dir)
    _check_folder(sweep, sweep_dir)
    for data in _distinct_data(points):
        files.split(**data)
    of_source = {point.data["source"]: point.parameters for point in points}
    inputs = {source: run.inputs_of(chosen) for source, chosen in of_source.items()}
    with run.listed_afterwards(sweep_dir, say):
        with run.alone_in(sweep_dir):
            todo = _left(points, inputs, retry_failed, say)
            say(f"{len(points)} points, {len(points) - len(todo)} of them need no run")
            definition = sweep.model_dump() | {"ids": [point.id for point in points]}
            if todo:
                with _client(workers, scheduler, len(todo), inputs.values(), say) as client:
                    files.write_json(sweep_dir / "sweep.json", definition)
                    _run_all(client, sweep, points, _tasks(sweep, todo, inputs, sweep_dir, time_limit), say)
            else:
                files.write_json(sweep_dir / "sweep.json", definition)
            results(points).to_csv(sweep_dir / "results.csv", index=False)
        if with_report:
            _report(sweep_dir)
            say(f"report: {sweep_dir / 'report.html'}")
    return [point for point in points if point.record().get("status") != "done"]


def _check_folder(sweep: Sweep, sweep_dir: Path) -> None:
    """Refuse a folder in which the sweep would overwrite what is not its own."""
    if run.is_the_projects(sweep_dir):
        raise ParameterError(f"--sweep-dir is {sweep_dir}, where the project's own files are. Choose another folder.")
    run.check_writable(sweep_dir, f"--sweep-dir is {sweep_dir}")
    before = files.read_json_or_empty(sweep_dir / "sweep.json").get("name", sweep.name)
    if before != sweep.name or (sweep_dir / "run.json").exists():
        holds = f"the sweep {before}" if before != sweep.name else "a run"
        raise ParameterError(f"{sweep_dir} holds {holds}, which {sweep.name} would overwrite. Choose another folder.")


def _left(
    points: list[Point], inputs: Mapping[str, Any], retry_failed: bool, say: Callable[[str], None]
) -> list[Point]:
    """The points to run: those without a record that still holds, or with retry_failed those that failed."""
    todo = []
    for point in points:
        record = point.record()
        if retry_failed:
            wanted = bool(record) and record.get("status") != "done"
        elif record and (changed := run.changed_inputs(record, point.parameters, inputs[point.data["source"]])):
            say(f"{point.id} runs again, because of {'; '.join(changed)}")
            wanted = True
        elif not all(run.is_as_made(point.folder, name, record) for name in record.get("outputs", {})):
            say(f"{point.id} runs again, because of files that have been removed or altered since")
            wanted = True
        else:
            wanted = not record
        if wanted:
            todo.append(point)
    return todo


def _key(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(data), sort_keys=True).encode()).hexdigest()[:12]


def _distinct_data(points: list[Point]) -> list[dict[str, Any]]:
    return list({_key(point.data): point.data for point in points}.values())


def _prepared(data: Mapping[str, Any], inputs: Mapping[str, Any], sweep_dir: Path) -> bytes:
    """data.npz of one data setting, compressed, made by 01_prepare unless it has been made before."""
    folder = sweep_dir / f"data-{_key(data)}"
    depends_on = dict(inputs) | {"settings": dict(data)}
    if files.read_json_or_empty(folder / "prepared.json") != depends_on:
        notebook = run.NOTEBOOKS / "01_prepare.ipynb"
        run.execute(notebook, folder / notebook.name, dict(data) | {"run_dir": str(folder)})
        files.write_json(folder / "prepared.json", depends_on)
    return zlib.compress((folder / "data.npz").read_bytes(), level=1)


@contextlib.contextmanager
def _client(
    workers: int | None,
    scheduler: str | None,
    most: int,
    inputs: Iterable[Mapping[str, Any]],
    say: Callable[[str], None],
) -> Iterator[Any]:
    """A Dask client with at least one worker. Raises ParameterError if its workers cannot be had or used."""
    import cloudpickle
    import dask
    from distributed import Client, LocalCluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it would say is told in our own words
    with contextlib.ExitStack() as stack:
        # Data travels inside a task, some MB each: scattered data would be lost with the worker that holds it.
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}))
        if scheduler:
            try:
                client = stack.enter_context(Client(scheduler))
            except (OSError, ValueError) as error:
                raise ParameterError(f"No Dask scheduler answers at {scheduler} ({error}). Start one first.") from None
            if not client.nthreads():
                say(f"The scheduler at {scheduler} has no worker. Waiting for one: dask worker {scheduler}")
                client.wait_for_workers(1)
            _check_workers(client, inputs)
        else:
            count = min(workers or os.cpu_count() or 1, most)
            options = {"threads_per_worker": 1, "dashboard_address": ":0", "preload": [LOCAL_WORKER]}
            client = stack.enter_context(Client(stack.enter_context(LocalCluster(n_workers=count, **options))))
        try:
            yield client
        except BaseException:
            logging.getLogger("distributed").setLevel(logging.CRITICAL)  # that connections end with it is no news
            raise


def _check_workers(client: Any, inputs: Iterable[Mapping[str, Any]]) -> None:
    """Refuse workers that would fail every point that they are given. Raises ParameterError.

    A worker that is busy for long is not waited for: each point checks its worker again.
    """
    from distributed import wait
    from distributed.client import FuturesCancelledError

    versions = {name: version for known in inputs for name, version in known["versions"].items()}
    checks = {
        address: client.submit(on_worker, _code(), "check_versions", versions, workers=[address], pure=False)
        for address in client.nthreads()
    }
    with contextlib.suppress(TimeoutError, FuturesCancelledError):  # the latter if the scheduler goes away
        wait(list(checks.values()), timeout=60)
    wrong = [f"{address}: {check.exception()}" for address, check in checks.items() if check.status == "error"]
    if wrong:
        raise ParameterError("\n".join(["Workers that cannot run this sweep:", *wrong]))


def _code() -> dict[str, bytes]:
    """Everything that a worker needs of the project."""
    names = ["helpers.py", *(f"notebooks/{stage}.ipynb" for stage in run.STAGES)]
    package = [*(files.ROOT / "pipeline").glob("*.py"), *(files.ROOT / "pipeline" / "templates").iterdir()]
    names += sorted(str(path.relative_to(files.ROOT)) for path in package)
    return {name: (files.ROOT / name).read_bytes() for name in names}


def _tasks(
    sweep: Sweep, todo: list[Point], inputs: Mapping[str, Any], sweep_dir: Path, time_limit: float | None
) -> dict[Point, dict[str, Any]]:
    """What a worker is told of each point."""
    data = {_key(data): _prepared(data, inputs[data["source"]], sweep_dir) for data in _distinct_data(todo)}
    return {
        point: {
            "title": f"Point {point.id} of the sweep {sweep.name}",
            "again_in": f"runs/{sweep.name}-{point.id}",
            "parameters": point.parameters.model_dump(),
            "inputs": inputs[point.data["source"]],
            "data": data[_key(point.data)],
            "time_limit": time_limit,
        }
        for point in todo
    }


def _run_all(
    client: Any, sweep: Sweep, points: list[Point], tasks: Mapping[Point, Any], say: Callable[[str], None]
) -> None:
    """Keep each worker busy with one point, no more: a worker's death takes all that it was given with it."""
    from distributed import as_completed

    code, waiting, running, futures = _code(), list(reversed(tasks)), {}, as_completed()

    def submit() -> None:
        try:
            places = max(1, len(client.nthreads()))
        except (OSError, RuntimeError) as error:
            raise run.RunFailed(f"The Dask scheduler has gone ({error}). Start it again first.") from None
        while waiting and len(running) < places:
            point = waiting.pop()
            name = f"point-{point.id}-{time.monotonic_ns()}"
            running[name] = point
            futures.add(client.submit(on_worker, code, "run_point", tasks[point], key=name, pure=False))

    submit()
    with _Progress(sweep, points, tasks, say) as progress:
        for future in futures:
            point = running.pop(future.key)
            lost = future.status in ("cancelled", "lost")
            if lost:
                waiting.append(point)
            submit()  # before the writing, so that no worker waits for it
            if not lost:
                _keep(point, _outcome(future, tasks[point]))
                progress.finished(point)


def _outcome(future: Any, task: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker returned, or a record of how it did not."""
    from distributed.scheduler import KilledWorker

    if future.status != "error":
        return future.result()
    error = future.exception()
    if isinstance(error, KilledWorker):
        told = {"status": "worker died", "error": "Its worker died, several times over."}
    else:
        told = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    return {"record": told | {name: task[name] for name in ("parameters", "inputs")}, "files": {}}


def _keep(point: Point, outcome: Mapping[str, Any]) -> None:
    """Write a point's files, its record last."""
    point.folder.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", *POINT_FILES):
        (point.folder / name).unlink(missing_ok=True)
    for name, content in outcome["files"].items():
        if not name.endswith(".npz"):  # the folder where it was run means nothing here
            content = content.replace(outcome["scratch"].encode(), point.parameters.run_dir.encode())
        files.write_whole(point.folder / name, content)
    outputs = {name: files.sha256_of_file(point.folder / name) for name in outcome["files"]}
    files.write_json(point.folder / "run.json", outcome["record"] | {"outputs": outputs})


class _Progress:
    """How far a sweep is.

    Where someone watches, in a terminal or JupyterLab, a bar, and lines of what failed and of each new best setting.
    Elsewhere, for a log, a line a point with all of it.
    """

    def __init__(self, sweep: Sweep, points: list[Point], todo: Collection[Point], say: Callable[[str], None]) -> None:
        from tqdm.auto import tqdm

        notebook, terminal = "JPY_SESSION_NAME" in os.environ, sys.stderr.isatty()
        self.watched = notebook or (terminal and sys.stdout.isatty())  # else stdout is a log, if with a bar beside it
        size = {}
        if terminal:  # which does not know its size in some containers
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            size = {"dynamic_ncols": True} if columns else {"ncols": 100, "nrows": 40}
        self.sweep, self.say = sweep, say
        self.rows = {point.id: _row(point, {} if point in todo else point.record()) for point in points}
        self.started, self.done, self.failed, self.count = time.monotonic(), 0, 0, len(todo)
        self.best = ""
        self.bar = tqdm(
            total=self.count,
            unit="point",
            disable=not (notebook or terminal),
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
            smoothing=0,  # as many points end at a time as there are workers
            **size,
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.bar.close()
        if kind:
            self.say(f"{self.done} of {self.count} points have finished and are kept; the same command runs the rest.")

    def finished(self, point: Point) -> None:
        row = self.rows[point.id] = _row(point, point.record())
        self.done += 1
        self.failed += row["status"] != "done"
        left = (time.monotonic() - self.started) / self.done * (self.count - self.done)
        failed = [f"{self.failed} failed"] if self.failed else []
        figure, best = self._best()
        line = f"[{self.done}/{self.count}] {point.id} {row['status']}: {point.told}"
        if not self.watched:
            self.say(
                " | ".join([line, f"about {left:.0f} s left", *failed, *([f"best so far {best}"] if best else [])])
            )
        else:
            with self.bar.external_write_mode():
                if row["status"] != "done":
                    self.say(line)
                if best != self.best:
                    self.say(f"best so far {best}")
        self.best = best
        self.bar.set_postfix_str(", ".join(failed + ([f"best {figure}"] if best else [])), refresh=False)
        self.bar.update()

    def _best(self) -> tuple[str, str]:
        """The figure of the setting that the report would put first, were the sweep to end here, and all of it."""
        from pipeline import study

        table = pd.DataFrame(self.rows.values())
        best = study.ranked(table, self.sweep.select).iloc[0]
        if best["finished"] == 0:
            return "", ""
        figure = f"{best['mean']:.4f}"
        seeds = f", mean of {best['finished']} seeds" if best["finished"] > 1 else ""
        setting = ", ".join(f"{name} {best[name]}" for name in study.swept(table) if name != "seed")
        return figure, f"{self.sweep.select} {figure}{seeds}: {setting or 'the only setting'}"


def _report(sweep_dir: Path) -> None:
    """sweep.ipynb, executed for this sweep, and its report; not again where nothing that they show has changed."""
    from pipeline import report

    shown = [sweep_dir / "sweep.json", sweep_dir / "results.csv", REPORT, *sorted(Path(__file__).parent.glob("*.py"))]
    depends_on = {path.name: files.sha256_of_file(path) for path in shown} | {"pages": run.report_digest()}
    made = files.read_json_or_empty(sweep_dir / "report.json")
    if made != depends_on or not (sweep_dir / "report.html").exists():
        run.execute(REPORT, sweep_dir / REPORT.name, {"sweep_dir": files.run_dir_of(sweep_dir)})
        report.write_notebook_report(sweep_dir / REPORT.name, sweep_dir / "report.html")
        files.write_json(sweep_dir / "report.json", depends_on)


# ---- results ---------------------------------------------------------------------------------------------------


def opened(sweep_dir: str) -> tuple[Sweep, list[Point]]:
    """The definition and the points of a sweep that has been run, or begun. Raises DataError if there is none."""
    folder = files.run_path(sweep_dir)
    definition = files.read_json(folder / "sweep.json", "Run the sweep: python -m pipeline sweep FILE.yaml")
    sweep = Sweep.model_validate({name: definition.get(name) for name in Sweep.model_fields})
    return sweep, points_of(sweep, folder)


def results(points: list[Point]) -> pd.DataFrame:
    """A row a point: its parameters, status and figures, without the test's, by which nothing may be chosen."""
    return pd.DataFrame([_row(point, point.record()) for point in points])


def _row(point: Point, record: Mapping[str, Any]) -> dict[str, Any]:
    status = record.get("status", "not run")
    metrics = files.read_json_or_empty(point.folder / "metrics.json") if status == "done" else {}
    splits = ("train", "validation") if point.data["num_validation"] else ("train",)
    figures = {f"{split}_{figure}": float("nan") for split in splits for figure in ("error", "accuracy")}
    figures |= {name: value for name, value in metrics.items() if not name.startswith("test")}
    return (
        {"id": point.id, "status": status}
        | point.parameters.model_dump(exclude={"run_dir"})
        | figures
        | {"duration_s": record.get("duration_s"), "error": record.get("error")}
    )
