"""Compute matrix products in one thread during tests, as in notebooks.

With more threads, the last digits may differ.
"""

import os

os.environ |= dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
