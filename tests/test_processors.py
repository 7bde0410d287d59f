"""The published digest and metrics on older processors."""

import os
import subprocess
import sys

import pytest
from numpy._core._multiarray_umath import __cpu_features__ as CPU

from pipeline.paths import ROOT

# The SHA-256 of the weights, then the metrics.
PUBLISHED = """ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6
0.42039163449803474 0.817 0.4293625211457075 0.7942"""
# This trains in a process of its own.
SCRIPT = """
import numpy as np
from pipeline.network import compiled
from tests.network.test_compiled import train
file = np.load("notebooks/data/mnist_sample.npz")
examples = file["x_train"][:1000].reshape(-1, 784), file["y_train"][:1000]
weights, metrics, digest = train(compiled.train_epoch, examples, epochs=100)
metrics += compiled.evaluate(file["x_test"].reshape(-1, 784), file["y_test"], weights)
print(digest, *metrics)
"""


@pytest.mark.parametrize(
    ("target", "feature", "blas", "threads"),
    [("generic", None, "Prescott", "1"), ("haswell", "AVX2", "Nehalem", "2")],
)
def test_the_bits_are_the_published_on_older_processors(
    tmp_path, target, feature, blas, threads
):
    if feature and not CPU.get(feature):
        pytest.skip(f"this processor has no {feature}")
    variables = {"NUMBA_CPU_NAME": target, "NUMBA_CACHE_DIR": str(tmp_path)}
    variables |= {"OPENBLAS_CORETYPE": blas, "OPENBLAS_NUM_THREADS": threads}
    environment = os.environ | variables | {"NUMBA_NUM_THREADS": threads}
    command = [sys.executable, "-c", SCRIPT]
    output = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    assert output.split() == PUBLISHED.split()
