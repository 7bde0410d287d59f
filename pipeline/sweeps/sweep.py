"""Represent a sweep: its definition, its folder, its points, and what they need.

`prepare_sweep` makes a sweep from a YAML file, and `read_sweep` reads one that has been
started.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import parameters, paths, records
from pipeline.errors import InvalidFile
from pipeline.images import data
from pipeline.images.data import Data
from pipeline.parameters import Parameters
from pipeline.records import Metrics, RunRecord, Status, SweepDefinition, SweepRecord
from pipeline.results import provenance
from pipeline.results.files import atomic_write, check_folder
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import EVALUATION, HELPERS, README, TRAINING
from pipeline.sweeps.definition import list_points, read_definition

UNFINISHED = (None, Status.RUNNING, Status.INTERRUPTED, Status.OUTDATED)
log = logging.getLogger(__name__)
ADVICE = "Run the sweep: python -m pipeline sweep FILE.yaml"


@dataclass(eq=False)
class Point:
    """One point of a sweep, with its record if it has been run.

    expected_record: the record it would get if it were trained and evaluated now.
    changes: how its record differs from the expected one in what training depends on.
        If there are any changes, the point is outdated.
    """

    parameters: Parameters
    folder: RunFolder
    expected_record: RunRecord
    record: RunRecord | None = None
    changes: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.folder.path.name

    @property
    def training_record(self) -> RunRecord:
        """Return the record with which the point's training would begin now."""
        inputs = provenance.select_training_inputs(self.expected_record.inputs)
        return self.expected_record.replace(inputs=inputs)

    @property
    def status(self) -> Status | None:
        if self.changes:
            return Status.OUTDATED
        return self.record.status if self.record else None

    def read_record(self) -> None:
        """Read the point's record, and compare it with the one it would get now."""
        self.record, self.changes = self.folder.find_record(), []
        if self.record:
            self.changes = provenance.list_changes(self.record, self.training_record)

    def record_result(
        self, record: RunRecord, files: Mapping[str, bytes] | None = None
    ) -> None:
        """Store the point's record in this object and in its folder.

        files: the files that a worker of a cluster has sent, by name.
        """
        if files:
            self.folder.clear()
        for name, content in (files or {}).items():
            atomic_write(self.folder.path / name, content)
        self.record, self.changes = record, []
        self.folder.write_record(record)

    def find_metrics(self) -> Metrics | None:
        """Return the point's metrics on the test images, or None if it has none.

        Metrics do not count if other code or another 03_evaluate has measured them.
        """
        if self.status != Status.DONE or not self.record:
            return None
        is_evaluated = self.folder.metrics_path.name in self.record.outputs
        wanted = self.expected_record
        if not is_evaluated or provenance.list_changes(self.record, wanted):
            return None
        try:
            return self.folder.read_metrics()
        except InvalidFile:  # it is missing or damaged
            return None


class Sweep:
    """A sweep: its definition, its folder, its points, and what they need.

    points: the parameters of each point, by its id.
    inputs: what training and evaluation depend on, for each source of images.
    images: the images of each source; none if the sweep is only read.
    """

    def __init__(
        self,
        definition: SweepDefinition,
        path: Path,
        points: Mapping[str, Parameters],
        inputs: Mapping[str, dict[str, str]],
        warnings: Sequence[str] = (),
        images: Mapping[str, Data] | None = None,
    ) -> None:
        self.definition, self.path, self.warnings = definition, path, list(warnings)
        self.inputs, self.images = dict(inputs), dict(images or {})
        self.display_path = paths.to_display_path(path)
        self.record_path = path / "sweep.json"
        self.results_path = path / "results.csv"
        self.notebook_path = path / "sweep.ipynb"
        self.report_path = path / "report.html"
        self.helpers_path = path / HELPERS
        self.readme_path = path / README
        self.points = {
            identity: Point(
                each,
                RunFolder(path / identity),
                RunRecord(parameters=dict(each), inputs=self.inputs[each.source]),
            )
            for identity, each in points.items()
        }
        self._contents: dict[tuple[Any, ...], bytes] = {}

    @property
    def helpers(self) -> bytes:
        """Return the text of the helpers.py that trains the points."""
        return provenance.get_helpers(next(iter(self.inputs.values())))

    def to_record(self) -> SweepRecord:
        return SweepRecord(
            **dict(self.definition),
            ids={point.id: dict(point.parameters) for point in self.points.values()},
            inputs=self.inputs,
            warnings=self.warnings,
        )

    def find_jobs(self, retry_failed: bool) -> list[Point]:
        """Return the points to train, outdated ones last; log why they are outdated.

        Their old results no longer count. The records of all points are read first.

        retry_failed: whether to train failed points, too.
        """
        unfinished: list[Point] = []
        outdated: list[Point] = []
        reasons = Counter[str]()
        # A process that died may have been killed, and can succeed the next time.
        left = [*UNFINISHED, Status.DIED]
        if retry_failed:
            left.append(Status.FAILED)
            if not self.definition.random:  # in a search, divergence is a result
                left.append(Status.DIVERGED)
        for point in self.points.values():
            point.read_record()
            if point.status == Status.DONE and point.record:
                altered = point.folder.list_altered(point.record)
                files = [name for name in altered if name in TRAINING.files]
                point.changes = [
                    f"{name}, which was removed or altered" for name in files
                ]
            if point.changes:
                reasons[point.changes[0]] += 1
                outdated.append(point)
            elif point.status in left:
                point.record = None  # how it ended before no longer counts
                unfinished.append(point)
        for reason, count in reasons.items():
            which = "1 point is" if count == 1 else f"{count} points are"
            log.info(f"{which} outdated and trained again, because of {reason}")
        return unfinished + outdated

    def split_images(self, values: Parameters) -> Data:
        """Return the three sets of images of the point that has these parameters."""
        sizes = values.num_samples, values.num_validation
        return data.split_data(self.images[values.source], *sizes)

    def make_training_data(self, values: Parameters) -> bytes:
        """Return the bytes of data.npz to train the point that has these parameters.

        Points with the same images share these bytes, which contain no test images.
        """
        key = values.source, values.num_samples, values.num_validation
        if key not in self._contents:
            self._contents[key] = self.split_images(values).without_test().to_bytes()
        return self._contents[key]


def prepare_sweep(
    source: Path | str | Mapping[str, Any], sweep_dir: str | None = None
) -> Sweep:
    """Check a sweep, and collect what its points need: images, code and versions.

    source: the YAML file, or its content.
    sweep_dir: the folder of the sweep; by default runs/sweeps/NAME.

    Each source is loaded once. Raises InvalidInput before anything is written.
    """
    definition = read_definition(Path(source) if isinstance(source, str) else source)
    path = paths.BASE / (sweep_dir or paths.RUNS / "sweeps" / definition.name)
    check_folder(path, "run.json", (".yaml", ".yml"))
    points = {parameters.make_id(dict(each)): each for each in list_points(definition)}
    sources = dict.fromkeys(each.source for each in points.values())
    images = {name: data.load_source(name) for name in sources}
    inputs = {
        name: provenance.collect_inputs(each, [TRAINING, EVALUATION])
        for name, each in images.items()
    }
    warnings = dict.fromkeys(text for each in images.values() for text in each.warnings)
    sweep = Sweep(definition, path, points, inputs, [*warnings], images)
    for point in points.values():
        sweep.make_training_data(point)  # raises if there are too few images
    return sweep


def read_sweep(sweep_dir: Path | str) -> Sweep:
    """Read a sweep that has been started, and the records of its points.

    Raises InvalidFile if sweep.json is missing or damaged.
    """
    path = paths.BASE / sweep_dir
    record = records.read_record(path / "sweep.json", SweepRecord, ADVICE)
    fields = record.model_dump(include=set(SweepDefinition.model_fields))
    definition = SweepDefinition.model_validate(fields)
    points = {name: parameters.from_values(each) for name, each in record.ids.items()}
    sweep = Sweep(definition, path, points, record.inputs, record.warnings)
    for point in sweep.points.values():
        point.read_record()
    return sweep
