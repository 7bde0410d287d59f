"""What tests of sweeps share: definitions, points, and trainings that stop midway."""

import json
from pathlib import Path

import pytest

from pipeline.parameters import from_values
from pipeline.records import Status, TrainingMetrics
from pipeline.sweep_records import SweepRecord
from pipeline.sweeps.definition import list_points, read_definition
from pipeline.sweeps.sweep import Sweep
from pipeline.sweeps.table import make_table
from tests.conftest import VALIDATED

QUICK = {"num_samples": 60, "num_validation": 40, "epochs": 4, "hidden_size": 5}
RATES = {"grid": {"learning_rate": [0.005, 0.01, 0.02]}, "seeds": [14]}


def write(path, **definition):
    content = {"name": "trial", "base": QUICK} | definition
    path.write_text(json.dumps(content))  # which is YAML, too
    return path


def make_sweep(definition, path="runs/none", points=None):
    """Return a sweep of this definition, of which no point has been trained.

    points: their parameters, if these are not the ones that the definition lists.
    """
    points = list_points(definition) if points is None else points
    record = SweepRecord(**dict(definition), inputs={})
    return Sweep(record, points, Path(path))


def end(point, value, metric="validation_accuracy", others=VALIDATED):
    """Give a point this value of the metric; None means that the point diverged."""
    record = point.expected_record.replace(status=Status.DIVERGED)
    if value is not None:
        metrics = {**others, metric: value, "weights_sha256": "0" * 64}
        trained = TrainingMetrics(**metrics)
        record = record.replace(status=Status.DONE, metrics=trained)
    point.record = record


def make_points(values, metric="validation_accuracy", others=VALIDATED):
    """Return the definition and the table of points that have ended.

    values: pairs of a point's parameters and its value of the metric.
    """
    definition = read_definition({"name": "a", "select": metric})
    points = [from_values(parameters) for parameters, _ in values]
    sweep = make_sweep(definition, points=points)
    for point, (_, value) in zip(sweep.points.values(), values, strict=True):
        end(point, value, metric, others)
    return definition, make_table(sweep)


def read_results(folder):
    """Return the digest of each point's weights, or its status if it has none.

    The keys are the points' learning rates and seeds.
    """
    results = {}
    for path in folder.glob("*/run.json"):
        record = json.loads(path.read_text())
        key = record["parameters"]["learning_rate"], record["parameters"]["seed"]
        results[key] = record.get("metrics", {}).get("weights_sha256", record["status"])
    return results


@pytest.fixture(scope="session")
def local(shared, pipeline):
    """A finished sweep over three learning rates; its definition."""

    def make(folder):
        file = write(folder / "s.yaml", **RATES)
        done = pipeline("sweep", file, "--sweep-dir", folder / "out")
        assert done.returncode == 0, done.stderr

    return shared("local", make)
