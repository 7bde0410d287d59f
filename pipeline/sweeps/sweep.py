"""Define the classes of a sweep and of its points.

`prepare_sweep` makes a sweep from a YAML file. `read_sweep` reads a sweep that has been
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
    """One point of a sweep.

    expected_record: the record that the point would get if it were trained and
        evaluated now.
    record: the record of the point so far, or None if the point has not been run.
    changes: the differences between the two records in what training depends on. If
        there are any changes, the point is outdated.
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
        """Return the record with which the training of the point would begin now."""
        inputs = provenance.select_training_inputs(self.expected_record.inputs)
        return self.expected_record.replace(inputs=inputs)

    @property
    def status(self) -> Status | None:
        """Return the status of the point, or None if the point has not been run."""
        if self.changes:
            return Status.OUTDATED
        return self.record.status if self.record else None

    def read_record(self) -> None:
        """Read the point's record, and find how it differs from the expected record."""
        self.record, self.changes = self.folder.find_record(), []
        if self.record:
            self.changes = provenance.list_changes(self.record, self.training_record)

    def record_result(
        self, record: RunRecord, files: Mapping[str, bytes] | None = None
    ) -> None:
        """Store a new record of the point in this object and in the point's folder.

        files: the contents of the files that a worker of a cluster has sent, by name.
            They replace the files in the folder.
        """
        if files:
            self.folder.clear()
        for name, content in (files or {}).items():
            atomic_write(self.folder.path / name, content)
        self.record, self.changes = record, []
        self.folder.write_record(record)

    def find_metrics(self) -> Metrics | None:
        """Return the point's metrics on the test images, or None if there are none.

        Metrics that were measured with other code or with another 03_evaluate do not
        count.
        """
        if self.status != Status.DONE or not self.record:
            return None
        is_evaluated = self.folder.metrics_path.name in self.record.outputs
        wanted = self.expected_record
        if not is_evaluated or provenance.list_changes(self.record, wanted):
            return None
        try:
            return self.folder.read_metrics()
        except InvalidFile:  # metrics.json is missing or damaged
            return None


class Sweep:
    """A sweep: its definition, its folder, its points, and what the points need.

    path: the folder of the sweep.
    points: the parameters of each point, by the id of the point.
    inputs: what training and evaluation depend on (see provenance.py), by the source of
        the images.
    warnings: warnings about the images.
    images: the images, by their source. A sweep that is only read needs no images.
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
        """Return the points to train, with outdated points last.

        The function first reads the records of all points. For outdated points, it logs
        the reason. Earlier results of the returned points no longer count.

        retry_failed: whether to train failed points again.
        """
        unfinished: list[Point] = []
        outdated: list[Point] = []
        reasons = Counter[str]()
        # If a process died because it was killed, the next one may succeed.
        left = [*UNFINISHED, Status.DIED]
        if retry_failed:
            left += [Status.FAILED, Status.DIVERGED]
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
                point.record = None  # its earlier result no longer counts
                unfinished.append(point)
        for reason, count in reasons.items():
            which = "1 point is" if count == 1 else f"{count} points are"
            log.info(f"{which} outdated and trained again, because of {reason}")
        return unfinished + outdated

    def split_images(self, values: Parameters) -> Data:
        """Return the training, validation and test images of a point.

        values: the parameters of the point.
        """
        sizes = values.num_samples, values.num_validation
        return data.split_data(self.images[values.source], *sizes)

    def make_training_data(self, values: Parameters) -> bytes:
        """Return the bytes of the data.npz that a point is trained with.

        values: the parameters of the point.

        The data.npz contains no test images. Points with the same images share its
        bytes.
        """
        key = values.source, values.num_samples, values.num_validation
        if key not in self._contents:
            self._contents[key] = self.split_images(values).without_test().to_bytes()
        return self._contents[key]


def prepare_sweep(
    source: Path | str | Mapping[str, Any], sweep_dir: str | None = None
) -> Sweep:
    """Check the definition of a sweep, and collect what the points need.

    The points need images, code and versions of packages. Each source of images is
    loaded only once.

    source: the YAML file, or a mapping with its content.
    sweep_dir: the folder of the sweep, by default runs/sweeps/NAME.

    Raises InvalidInput if the definition, the folder or the images cannot be used. This
    function writes no files.
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
    """Read a sweep that has been started, with the records of its points.

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
