"""Sweeps: a YAML file of settings becomes points, the points become runs on Dask, and nothing is lost on the way.

Only this process writes: a point's folder is whole once its run.json is there.
"""

import difflib
import hashlib
import html
import itertools
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import cluster, files, parameters, run
from pipeline.parameters import ParameterError, Parameters

DATA_SETTINGS = ("source", "num_samples", "num_validation", "normalisation")
DERIVED = ("results.csv", "sweep.ipynb", "report.html", "report.json")
REPORT = run.NOTEBOOKS / "sweep.ipynb"
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
        return Sweep.model_validate(yaml.load(path.read_text(), _Loader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"{path} cannot be read as a YAML file: {error}") from None
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, e['loc'])) or 'the file'}: {_told(e)}" for e in error.errors()]
        raise ParameterError(
            "\n".join(
                [*lines, "A sweep has a name, and may have base, grid, points and select; see notebooks/sweeps/."]
            )
        ) from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML's readers take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [key for number, key in enumerate(keys) if key in keys[:number]]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _told(error: Mapping[str, Any]) -> str:
    """What is wrong with an entry of a sweep's file."""
    name = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Sweep.model_fields, n=1)
        return "There is no such entry." + (f" Did you mean {near[0]}?" if near else "")
    if error["type"] == "model_type":
        return "It must consist of entries, as name: my-sweep."
    if error["type"] == "string_pattern_mismatch":
        return (
            f"It is {error['input']!r}, but may have letters, digits, - and _ only, and begins with a letter or digit."
        )
    if name == "select" and str(error["input"]).startswith("test"):
        return f"{error['msg']}. The test figures must not be chosen by: nothing would be left to judge the choice."
    return error["msg"]


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


# ---- running them ---------------------------------------------------------------------------------------------


def run_sweep(
    path: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    time_limit: int | None = None,
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
    time_limit : int, optional
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
    try:
        points = points_of(sweep, sweep_dir)
    except ParameterError as error:
        raise ParameterError(f"{path} cannot be run:\n{error}") from None
    _check_folder(sweep, sweep_dir)
    for data in _distinct_data(points):
        files.split(**data)
    of_source = {point.data["source"]: point.parameters for point in points}
    inputs = {source: run.inputs_of(chosen) for source, chosen in of_source.items()}
    with run.listed_afterwards(sweep_dir, say), run.alone_in(sweep_dir):
        todo = _left(points, inputs, retry_failed, say)
        say(_counted(points, todo))
        definition = sweep.model_dump() | {"ids": [point.id for point in points], "settings": _settings(points)}
        before = files.read_json_or_empty(sweep_dir / "sweep.json")
        if before and before.get("ids") != definition["ids"]:
            say("The sweep in this folder had other points. They are kept; its results and report make way for these.")
        if todo:
            with cluster.client(scheduler, min(workers or os.cpu_count() or 1, len(todo))) as client:
                files.write_json(sweep_dir / "sweep.json", definition)
                try:
                    _run_all(client, sweep, points, _tasks(sweep, todo, inputs, sweep_dir, time_limit), say)
                finally:
                    _write_results(points, sweep_dir)
        else:
            files.write_json(sweep_dir / "sweep.json", definition)
            _write_results(points, sweep_dir)
        if figure := _best(results(points), sweep.select):
            say(f"best {figure[1]}")
        if with_report:
            _report(sweep, sweep_dir)
            say(f"report: {sweep_dir / 'report.html'}")
    return [point for point in points if point.record().get("status") != "done"]


def _check_folder(sweep: Sweep, sweep_dir: Path) -> None:
    """Refuse a folder in which the sweep would overwrite what is not its own, or hide it."""
    told = f"--sweep-dir is {sweep_dir}"
    if run.is_the_projects(sweep_dir):
        raise ParameterError(f"{told}, where the project's own files are. Choose another folder.")
    if wrong := [character for character in str(sweep_dir) if character in '"\\' or not character.isprintable()]:
        raise ParameterError(f"{told}, with {wrong[0]!r}, which notebooks cannot hold as it is. Choose another folder.")
    run.check_writable(sweep_dir, told)
    before = files.read_json_or_empty(sweep_dir / "sweep.json").get("name")
    own = (*DERIVED, "run.json", "*/run.json", "*/sweep.json", "*/*/sweep.json")
    if before is None and (found := [path for pattern in own for path in sweep_dir.glob(pattern)]):
        theirs = found[0].relative_to(sweep_dir)
        raise ParameterError(f"{told}, which holds {theirs}, but no sweep. Choose another folder.")
    if before not in (None, sweep.name):
        raise ParameterError(f"{told}, which holds the sweep {before}. Choose another folder.")


def _counted(points: list[Point], todo: Collection[Point]) -> str:
    """How many points there are, and what is to become of them."""
    statuses = [point.record().get("status") for point in points if point not in todo]
    counts = {
        "done": statuses.count("done"),
        "failed before (--retry-failed runs them again)": len([s for s in statuses if s not in ("done", None)]),
        "never run": statuses.count(None),
    }
    told = [f"{count} {name}" for name, count in counts.items() if count or name == "done"]
    return f"{len(points)} {'point' if len(points) == 1 else 'points'}: {', '.join([*told, f'{len(todo)} to run'])}"


def _left(
    points: list[Point], inputs: Mapping[str, Any], retry_failed: bool, say: Callable[[str], None]
) -> list[Point]:
    """The points to run: those without a record that still holds, or with retry_failed those that failed."""
    todo, again = [], {}
    for point in points:
        record = point.record()
        if retry_failed:
            reasons, wanted = [], bool(record) and record.get("status") != "done"
        else:
            reasons = run.changed_inputs(record, point.parameters, inputs[point.data["source"]])
            if not reasons and not all(
                run.is_as_made(point.folder, name, record) for name in record.get("outputs", {})
            ):
                reasons = ["files that have been removed or altered since"]
            wanted = bool(reasons) or not record
        if reasons:
            again.setdefault("; ".join(reasons), []).append(point.id)
        if wanted:
            todo.append(point)
    for reason, ids in again.items():
        told = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
        say(f"{told} {'runs' if len(ids) == 1 else 'run'} again, because of {reason}")
    return todo


def _settings(points: list[Point]) -> list[list[str]]:
    """The ids of the points of each setting: they differ in their seed alone."""
    found: dict[str, list[str]] = {}
    for point in points:
        setting = point.parameters.model_dump_json(exclude={"seed", "run_dir"})
        found.setdefault(setting, []).append(point.id)
    return list(found.values())


def _key(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(data), sort_keys=True).encode()).hexdigest()[:12]


def _distinct_data(points: list[Point]) -> list[dict[str, Any]]:
    return list({_key(point.data): point.data for point in points}.values())


def _prepared(data: Mapping[str, Any], inputs: Mapping[str, Any], sweep_dir: Path) -> bytes:
    """data.npz of one data setting, compressed, made by 01_prepare unless it has been made before."""
    folder = sweep_dir / f"data-{_key(data)}"
    depends_on = dict(inputs) | {"settings": dict(data)}
    made = files.read_json_or_empty(folder / "prepared.json")
    if made.get("depends_on") != depends_on or not run.is_as_made(folder, "data.npz", made):
        notebook = run.NOTEBOOKS / "01_prepare.ipynb"
        run.execute(notebook, folder / notebook.name, dict(data) | {"run_dir": str(folder)})
        outputs = {"data.npz": files.sha256_of_file(folder / "data.npz")}
        files.write_json(folder / "prepared.json", {"depends_on": depends_on, "outputs": outputs})
    return zlib.compress((folder / "data.npz").read_bytes(), level=1)


def _tasks(
    sweep: Sweep, todo: list[Point], inputs: Mapping[str, Any], sweep_dir: Path, time_limit: int | None
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
    """Have all tasks run, and write what comes of each as soon as it is there."""
    waiting, ended = list(reversed(tasks.items())), []
    with _Progress(sweep, points, tasks, say) as progress, cluster.interrupted_between() as check:
        pool = cluster.Pool(client, progress.tell)
        while True:
            check()
            try:
                pool.give(waiting)  # before the writing, so that no worker waits for it
            finally:  # also if there is nobody left to give to
                for (point, _), outcome in ended:
                    if outcome:
                        _keep(point, outcome)
                        progress.finished(point)
            if not waiting and not pool.running:
                break
            ended = pool.ended()
            progress.tick()
            waiting += [item for item, outcome in ended if not outcome]


def _keep(point: Point, outcome: Mapping[str, Any]) -> None:
    """Write a point's files, its record last."""
    point.folder.mkdir(parents=True, exist_ok=True)
    for path in (*(point.folder / name for name in ("run.json", *cluster.FILES)), *point.folder.glob(".*.part")):
        path.unlink(missing_ok=True)
    for name, content in outcome["files"].items():
        if not name.endswith(".npz"):  # the folder where it was run means nothing here
            place = point.parameters.run_dir
            place = html.escape(place) if name.endswith(".html") else place
            content = content.replace(outcome["scratch"].encode(), place.encode())
        files.write_whole(point.folder / name, content)
    outputs = {name: files.sha256_of_file(point.folder / name) for name in outcome["files"]}
    files.write_json(point.folder / "run.json", outcome["record"] | {"outputs": outputs})


class _Progress:
    """How far a sweep is.

    Where someone watches, in a terminal or JupyterLab, a bar, and lines of what failed and of each new best setting.
    Elsewhere, for a log, a line a point with all of it.
    """

    def __init__(self, sweep: Sweep, points: list[Point], todo: Collection[Point], say: Callable[[str], None]) -> None:
        from IPython import get_ipython
        from tqdm.auto import tqdm

        # A kernel of JupyterLab, and not one of papermill's or nbval's, nor a program that a kernel has started.
        notebook = "JPY_SESSION_NAME" in os.environ and get_ipython() is not None
        terminal = sys.stderr.isatty()
        self.watched = notebook or (terminal and sys.stdout.isatty())  # else stdout is a log, if with a bar beside it
        size = {}
        if terminal:  # which does not know its size in some containers
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            size = {"dynamic_ncols": True} if columns else {"ncols": 100, "nrows": 40}
        self.sweep, self.say = sweep, say
        self.rows = {point.id: _row(point, {} if point in todo else point.record()) for point in points}
        self.before = sum(bool(point.record()) for point in points if point not in todo)
        self.started, self.done, self.failed, self.count = time.monotonic(), 0, 0, len(todo)
        self.best = ""
        self.bar = tqdm(
            total=self.before + self.count,
            initial=self.before,
            unit="point",
            disable=not (notebook or terminal),
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
            miniters=1,
            mininterval=0,
            smoothing=0,  # as many points end at a time as there are workers
            **size,
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.bar.close()
        if kind:
            finished, count = self.before + self.done, self.before + self.count
            self.say(f"{finished} of {count} points have finished and are kept; the same command runs the rest.")

    def finished(self, point: Point) -> None:
        row = self.rows[point.id] = _row(point, point.record())
        self.done += 1
        self.failed += row["status"] != "done"
        left = (time.monotonic() - self.started) / self.done * (self.count - self.done)
        failed = [f"{self.failed} failed"] if self.failed else []
        figure, best = _best(pd.DataFrame(self.rows.values()), self.sweep.select) or ("", "")
        place = f"[{self.before + self.done}/{self.before + self.count}]"
        line = f"{place} {point.id} {row['status']}: {point.told}"
        if not self.watched:
            leader = [f"best so far {best}"] if best else []
            self.say(" | ".join([line, f"about {left:.0f} s left", *failed, *leader]))
        else:
            if row["status"] != "done":
                self.tell(line)
            if best != self.best:
                self.tell(f"best so far {best}")
        self.best = best
        self.bar.set_postfix_str(", ".join(failed + ([f"best {figure}"] if best else [])), refresh=False)
        self.bar.update()

    def tell(self, line: str) -> None:
        """A line that stays, above the bar."""
        with self.bar.external_write_mode():
            self.say(line)

    def tick(self) -> None:
        """Have the bar's clock go on."""
        self.bar.refresh()


def _report(sweep: Sweep, sweep_dir: Path) -> None:
    """sweep.ipynb, executed for this sweep, and its report; not again where nothing that they show has changed."""
    from pipeline import report

    shown = [sweep_dir / "sweep.json", sweep_dir / "results.csv", REPORT, *sorted(Path(__file__).parent.glob("*.py"))]
    depends_on = {path.name: files.sha256_of_file(path) for path in shown} | {"pages": run.report_digest()}
    made = files.read_json_or_empty(sweep_dir / "report.json")
    if made != depends_on or not (sweep_dir / "report.html").exists():
        run.execute(REPORT, sweep_dir / REPORT.name, {"sweep_dir": files.run_dir_of(sweep_dir)})
        report.write_notebook_report(sweep_dir / REPORT.name, sweep_dir / "report.html", f"Sweep {sweep.name}")
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


def _write_results(points: list[Point], sweep_dir: Path) -> None:
    files.write_whole(sweep_dir / "results.csv", results(points).to_csv(index=False).encode())


def _row(point: Point, record: Mapping[str, Any]) -> dict[str, Any]:
    status = record.get("status", "not run")
    metrics = files.read_json_or_empty(point.folder / "metrics.json") if status == "done" else {}
    splits = ("train", "validation") if point.data["num_validation"] else ("train",)
    figures = {f"{split}_{figure}": float("nan") for split in splits for figure in ("error", "accuracy")}
    figures |= {"weights_sha256": None}
    figures |= {name: value for name, value in metrics.items() if not name.startswith("test")}
    return (
        {"id": point.id, "status": status}
        | point.parameters.model_dump(exclude={"run_dir"})
        | figures
        | {"duration_s": record.get("duration_s"), "error": record.get("error")}
    )


def _best(table: pd.DataFrame, metric: str) -> tuple[str, str] | None:
    """The figure of the setting that the report puts first, and all of it in words; None if nothing has finished."""
    from pipeline import study

    best = study.ranked(table, metric).iloc[0]
    if best["finished"] == 0:
        return None
    figure = f"{best['mean']:.4f}"
    seeds = f", {best['finished']} of {best['points']} seeds" if best["finished"] < best["points"] else ""
    seeds = seeds or (f", mean of {best['finished']} seeds" if best["finished"] > 1 else "")
    setting = ", ".join(f"{name} {best[name]}" for name in study.swept(table) if name != "seed")
    return figure, f"{metric} {figure}{seeds}: {setting or 'the only setting'}"
