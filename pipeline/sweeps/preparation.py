"""Check a sweep before it starts, and collect what its points need."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.images import data
from pipeline.paths import RUNS
from pipeline.records import Inputs, RunRecord, SweepDefinition, SweepRecord
from pipeline.results import provenance
from pipeline.results.files import check_folder
from pipeline.results.stages import EVALUATION, TRAINING
from pipeline.sweeps.points import (
    ImagesKey,
    Point,
    SweepFolder,
    make_points,
    read_definition,
)


@dataclass(frozen=True)
class SplitImages:
    """The images of some points: the content of their data.npz, and its digests."""

    content: bytes
    digests: dict[str, str]


@dataclass(frozen=True)
class Sweep:
    """A sweep that has been checked, with all that its points need.

    images: those of the points.
    inputs: from a source to what training and evaluation with it depend on.
    training_inputs: the same for training alone.
    helpers: the text of helpers.py.
    warnings: what is wrong with images, though it does not prevent their use.
    """

    definition: SweepDefinition
    folder: SweepFolder
    points: list[Point]
    images: dict[ImagesKey, SplitImages]
    inputs: dict[str, Inputs]
    training_inputs: dict[str, Inputs]
    helpers: bytes
    warnings: list[str]

    def to_record(self) -> SweepRecord:
        return SweepRecord(
            **dict(self.definition),
            ids={point.id: dict(point.parameters) for point in self.points},
            inputs=self.training_inputs,
            warnings=self.warnings,
        )

    def make_record(self, point: Point) -> RunRecord:
        """Return the record with which the training of a point begins."""
        return RunRecord(
            parameters=dict(point.parameters),
            inputs=self.training_inputs[point.parameters.source],
            arrays=self.images[point.images].digests,
        )


def prepare(
    source: Path | str | Mapping[str, Any], sweep_dir: str | None = None
) -> Sweep:
    """Check a sweep, and collect what its points need: images, code and versions.

    Raises InvalidInput.
    """
    source = Path(source) if isinstance(source, str) else source
    definition = read_definition(source)
    folder = SweepFolder(sweep_dir or RUNS / "sweeps" / definition.name)
    check_folder(folder.path, "run.json", (".yaml", ".yml"))
    points = make_points(definition, folder)
    images: dict[ImagesKey, SplitImages] = {}
    warnings: list[str] = []
    for key in dict.fromkeys(point.images for point in points):
        split = data.split_source(*key).without_test()
        images[key] = SplitImages(split.to_bytes(), dict(split.source_sha256))
        warnings += [each for each in split.warnings if each not in warnings]
    inputs = {
        source: provenance.collect_inputs(source, [TRAINING, EVALUATION])
        for source in dict.fromkeys(key.source for key in images)
    }
    return Sweep(
        definition=definition,
        folder=folder,
        points=points,
        images=images,
        inputs=inputs,
        training_inputs={
            source: provenance.keep_training_inputs(each)
            for source, each in inputs.items()
        },
        helpers=provenance.take_helpers(next(iter(inputs.values()))),
        warnings=warnings,
    )
