"""Tests have one thread for matrix products, as kernels have: those of several would spin, waiting for a core."""

import os

from pipeline.kernels import ONE_THREAD

os.environ |= ONE_THREAD  # before NumPy is imported; a process that a test starts has it, too
