"""Have the tests of with_keras.py run in a process of their own."""

import subprocess
import sys
from pathlib import Path


def test_the_network_and_its_sources_beside_keras():
    command = [sys.executable, "-m", "pytest", "-q", "-n0", str(Path(__file__).with_name("with_keras.py"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
