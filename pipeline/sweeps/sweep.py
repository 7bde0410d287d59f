"""Define the classes of a sweep and of its points.

`prepare_sweep` makes a sweep from a YAML file. `read_sweep` reads a sweep that has been
started.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import parameters, paths, records
from pipeline.errors import InvalidFile, InvalidInput
from pipeline.images import data
from pipeline.images.data import Data
from pipeline.parameters import Parameters
from pipeline.records import Metrics, RunRecord, Status
from pipeline.results import provenance, stages
from pipeline.results.files import atomic_write, check_folder
from pipeline.results.point_folder import PointFolder
from pipeline.results.provenance import AFTER_TRAINING
from pipeline.results.stages import LATER_STAGES, TRAINING
from pipeline.sweep_records import SweepRecord
from pipeline.sweeps.definition import list_points, read_definition

# Points with another status than these are trained at the next start.
ENDED = (Status.DONE, Status.DIVERGED)
ADVICE = "Run the sweep: python -m pipeline sweep FILE.yaml"


@dataclass(eq=False)
class Point:
    """One point of a sweep.

    expected_record: the record that the point would get if it were trained and
        evaluated now.
    record: the record of the point so far, or None if the point has not been run.
    changes: the differences between the two records in what training depends on. If
        there are any changes, the point is outdated.
    """

    parameters: Parameters
    folder: PointFolder
    expected_record: RunRecord
    record: RunRecord | None = None
    changes: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.folder.path.name

    @property
    def status(self) -> Status:
        if self.changes:
            return Status.OUTDATED
        return self.record.status if self.record else Status.NOT_RUN

    def refresh(self) -> None:
        """Read the point's record, and find how it differs from the expected record."""
        self.record = self.folder.find_record()
        self.changes = []
        if self.record:
            self.changes = provenance.list_changes(
                self.record, self.expected_record, AFTER_TRAINING
            )

    def record_result(
        self, record: RunRecord, files: Mapping[str, bytes] | None = None
    ) -> None:
        """Store a new record of the point in this object and in the point's folder.

        files: the contents of the files that a worker of a cluster has sent, by name.
            They replace the files in the folder.
        """
        if files:
            self.folder.path.mkdir(exist_ok=True)
            self.folder.clear()
            for name, content in files.items():
                atomic_write(self.folder.path / name, content)
        self.record = record
        self.changes = []
        self.folder.write_record(record)

    def find_metrics(self) -> Metrics | None:
        """Return the point's metrics on the test images, or None if there are none.

        Metrics that were measured with other code or with another 03_evaluate do not
        count.
        """
        if self.record is None or self.status != Status.DONE:
            return None
        if stages.METRICS not in self.record.outputs:
            return None
        if provenance.list_changes(self.record, self.expected_record):
            return None
        try:
            return self.folder.read_metrics()
        except InvalidFile:  # metrics.json is missing or damaged
            return None


class Sweep:
    """A sweep: its record, its folder, its points, and what the points need.

    record: the content of sweep.json, which begins with the sweep's definition.
    points: the parameters of all points.
    path: the folder of the sweep.
    images: the images of the sweep's source. A sweep that is only read has none.
    """

    def __init__(
        self,
        record: SweepRecord,
        points: Iterable[Parameters],
        path: Path,
        images: Data | None = None,
    ) -> None:
        self.record = record
        self.path = path
        self.images = images
        self.display_path = paths.to_display_path(path)
        self.record_path = path / stages.SWEEP
        self.notebook_path = path / "sweep.ipynb"
        self.report_path = path / stages.REPORT
        self.points: dict[str, Point] = {}
        for each in points:
            identity = parameters.make_id(dict(each))
            expected = RunRecord(parameters=each, inputs=record.inputs)
            folder = PointFolder(path / identity)
            self.points[identity] = Point(each, folder, expected)
        self._contents: dict[tuple[int, int], bytes] = {}

    @property
    def source(self) -> str:
        """Return the source of the images, which is the same for all points."""
        first = next(iter(self.points.values()))
        return first.parameters.source

    @cached_property
    def varied(self) -> list[str]:
        """Return the names of the parameters that differ between points."""
        rows = [point.parameters.model_dump() for point in self.points.values()]
        return [name for name in rows[0] if len({row[name] for row in rows}) > 1]

    def describe_point(self, point: Point) -> str:
        """Return the parameters of a point that differ between points, as text."""
        values = point.parameters.model_dump(include={*self.varied, "seed"})
        return parameters.format_parameters(values)

    def list_left_out(self) -> list[str]:
        """Return the ids of points that have been run and are not in the file now."""
        trained = [path.parent.name for path in self.path.glob(f"*/{stages.RECORD}")]
        return [name for name in trained if name not in self.points]

    def change_record(self, **fields: Any) -> None:
        """Replace some fields of the sweep's record, but do not write it."""
        self.record = self.record.model_copy(update=fields)

    def write_record(self) -> None:
        """Write sweep.json."""
        atomic_write(self.record_path, records.to_json(self.record))

    def refresh(self) -> None:
        """Read the records of all points, as the next start of the sweep counts them.

        A point with an altered file becomes outdated, and one that did not end loses
        its record.
        """
        for point in self.points.values():
            point.refresh()
            if point.record and point.status == Status.DONE:
                altered = point.folder.list_altered(point.record)
                for name in TRAINING.files:
                    if name in altered:
                        point.changes.append(f"{name}, which was removed or altered")
            if point.status not in (*ENDED, Status.OUTDATED):
                point.record = None

    def list_jobs(self) -> list[Point]:
        """Return the points to train, with outdated points last."""
        jobs = [point for point in self.points.values() if point.status not in ENDED]
        return sorted(jobs, key=lambda point: point.status == Status.OUTDATED)

    def split_images(self, values: Parameters) -> Data:
        """Return the training, validation and test images of a point.

        values: the parameters of the point.
        """
        assert self.images is not None
        return data.split_data(self.images, values.num_samples, values.num_validation)

    def make_training_data(self, values: Parameters) -> bytes:
        """Return the bytes of the data.npz that a point is trained with.

        values: the parameters of the point.

        The data.npz contains no test images. Points with the same images share its
        bytes.
        """
        key = values.num_samples, values.num_validation
        if key not in self._contents:
            self._contents[key] = self.split_images(values).without_test().to_bytes()
        return self._contents[key]


def prepare_sweep(
    source: Path | str | Mapping[str, Any], sweep_dir: str | None = None
) -> Sweep:
    """Check the definition of a sweep, and collect what the points need.

    The points need images, code and versions of packages.

    source: the YAML file, or a mapping with its content.
    sweep_dir: the folder of the sweep, by default runs/sweeps/NAME.

    Raises InvalidInput if the definition, the folder or the images cannot be used, or
    if the folder has the sweep of a file with another name. This function writes no
    files.
    """
    definition = read_definition(Path(source) if isinstance(source, str) else source)
    path = paths.BASE / (sweep_dir or paths.RUNS / "sweeps" / definition.name)
    check_folder(path, stages.RECORD, (".yaml", ".yml"))
    before = find_sweep_record(path)
    if before and before.name != definition.name:
        problem = f"{path} holds the sweep {before.name!r}, not {definition.name!r}"
        raise InvalidInput(f"{problem}. Choose another folder.")
    points = list_points(definition)
    images = data.load_source(points[0].source)
    inputs = provenance.collect_inputs(images, [TRAINING, *LATER_STAGES])
    record = SweepRecord(**dict(definition), inputs=inputs, warnings=images.warnings)
    sweep = Sweep(record, points, path, images)
    for point in sweep.points.values():
        sweep.make_training_data(point.parameters)  # raises if there are too few images
    return sweep


def find_sweep_record(path: Path) -> SweepRecord | None:
    """Return the content of sweep.json in a folder, or None if there is none.

    Raises InvalidFile if the file is damaged, because it counts the looks at the test
    images.
    """
    file = path / stages.SWEEP
    if not file.exists():
        return None
    advice = "Move the folder away, or choose another one."
    return records.read_record(file, SweepRecord, advice)


def read_sweep(sweep_dir: Path | str) -> Sweep:
    """Read a sweep that has been started, with the records of its points.

    Raises InvalidFile if sweep.json is missing or damaged.
    """
    path = paths.BASE / sweep_dir
    record = records.read_record(path / stages.SWEEP, SweepRecord, ADVICE)
    sweep = Sweep(record, list_points(record), path)
    for point in sweep.points.values():
        point.refresh()
    return sweep
