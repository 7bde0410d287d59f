"""Run the tests of with_keras.py in a process of their own."""

import subprocess
import sys
from pathlib import Path


def test_the_network_and_its_sources_beside_keras():
    tests = Path(__file__).with_name("with_keras.py")
    command = [sys.executable, "-m", "pytest", "-q", "-n0", str(tests)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
