"""Signals: where they are raised, what a second one does, and what stays ignored. Each in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import storage

BEGIN = """
import os, signal, sys, time
from pipeline import signals

signals.GRACE_PERIOD = signals.CLEAN_UP_PERIOD = 0.05
before = signals.handle()
"""


def run(script, ignored=None, errors=""):
    """Run a script, and return its exit code and what it printed; signals are as a shell leaves them.

    errors: what it writes to standard error.
    """

    def prepare():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number == ignored else signal.SIG_DFL)

    command = [sys.executable, "-c", BEGIN + script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=storage.ROOT, preexec_fn=prepare, timeout=60)
    assert done.stderr == errors
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGUSR1", "SIGALRM", "SIGPROF"])
def test_a_signal_is_raised_at_the_next_check_and_a_second_one_changes_nothing(name):
    script = f"""
signals.on_signal.add(lambda: print("at once"))
signal.raise_signal(signal.{name})
signal.raise_signal(signal.SIGTERM)
print("goes on")
try:
    signals.check()
except KeyboardInterrupt as stopped:
    signal.raise_signal(signal.SIGINT)
    print(signal.Signals(stopped.number).name, stopped)
signals.cancel_deadline()
time.sleep(0.1)
"""
    message = f"{name} Stopped by {name}. Run it again to continue it."
    assert run(script) == (0, f"at once\ngoes on\n{message}\n")


def test_what_does_not_come_to_a_check_is_stopped_where_it_is():
    script = """
signal.raise_signal(signal.SIGTERM)
try:
    while True: time.sleep(60)
except signals.Stopped:
    print("stopped")
    signals.cancel_deadline()
"""
    assert run(script) == (0, "stopped\n")


def test_one_that_comes_while_a_command_is_imported_waits_for_its_beginning_however_long_that_takes():
    script = """
signals.handle(insist=False)  # as the command line does first of all
signal.raise_signal(signal.SIGTERM)
time.sleep(0.5)
print("imported")
signals.handle()
try:
    signals.check()
except signals.Stopped as stopped:
    print(stopped.number, flush=True)
    time.sleep(60)  # which ends, as any clean-up that takes too long
"""
    message = "Interrupted by SIGTERM. Give the same command again to go on.\n"
    assert run(script, errors=message) == (143, "imported\n15\n")


@pytest.mark.parametrize("swallowing", ["time.sleep(60)", "signals.check()"])
def test_what_swallows_the_stop_or_cleans_up_too_long_ends_with_the_signals_code(swallowing):
    script = f"""
from pipeline import kernels, storage

kernels.prepare()
own = storage.scratch_of(os.getpid())
print(own, own.is_dir(), flush=True)
signal.raise_signal(signal.SIGHUP)
while True:
    try:
        {swallowing}
    except signals.Stopped:
        time.sleep(60)
"""
    message = "Interrupted by SIGHUP. Give the same command again to go on.\n"
    code, printed = run(script, errors=message)
    scratch, _, was_there = printed.strip().rpartition(" ")
    assert (code, was_there, Path(scratch).exists()) == (129, "True", False)


def test_one_that_comes_at_the_end_of_a_block_stops_it_and_without_one_an_alarm_stays():
    script = """
for number, handler in before.items(): signal.signal(number, handler)
signal.alarm(100)
with signals.handled(): pass
print(signal.alarm(0) > 90)
try:
    with signals.handled(): signal.raise_signal(signal.SIGINT)
except signals.Stopped:
    print("stopped")
signals.check()
"""
    assert run(script) == (0, "True\nstopped\n")


def test_one_that_comes_as_the_process_ends_changes_nothing():
    script = """
class Last:
    def __del__(self): os.kill(os.getpid(), signal.SIGINT)
last = Last()  # which Python deletes when it has given signals their usual meaning again
signals.ignore()
"""
    assert run(script) == (0, "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGTERM"])
def test_what_was_ignored_at_the_start_stays_ignored(name):
    script = f"signal.raise_signal(signal.{name})\nsignals.check()\nprint('goes on')"
    assert run(script, getattr(signal, name)) == (0, "goes on\n")


def test_a_block_that_handles_signals_gives_the_handlers_back():
    script = """
for number, handler in before.items(): signal.signal(number, handler)
try:
    with signals.handled():
        signal.raise_signal(signal.SIGTERM)
        signals.check()
except KeyboardInterrupt:
    print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
signals.check()
with signals.handled():
    signals.check()
"""
    assert run(script) == (0, "True\n")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_one_that_comes_before_python_starts_again_for_its_locale_is_handled_then(locale):
    script = """
from pipeline import console
console.open_streams(lambda: (signal.raise_signal(signal.SIGTERM), signals.hold(), signal.raise_signal(signal.SIGHUP)))
time.sleep(0.2)
try:
    signals.check()
    print("no signal")
except KeyboardInterrupt as stopped:
    print(stopped.number in (signal.SIGTERM, signal.SIGHUP))
"""
    command = [sys.executable, "-c", BEGIN.replace("= 0.05", "= 5") + script]
    environment = os.environ | {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=storage.ROOT, env=environment, timeout=60)
    assert (done.stderr, done.stdout) == ("", {"C": "True\n", "C.UTF-8": "no signal\n"}[locale])
