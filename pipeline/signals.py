"""Stop when a signal asks for it: where that is safe, after some seconds anywhere, and in the end without a clean-up.

An exception that is raised wherever a signal happens to come breaks an import or an event loop, or is swallowed. So the
handler raises nothing. It ends the kernels, for which a command waits nearly all of its time, and the command raises
`Stopped` at the next `check`. A second signal changes nothing, so it breaks no clean-up. This module imports little,
since it has to be there before the imports that take long.
"""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

GRACE_PERIOD = 2.0  # seconds in which a command has to come to a `check`
CLEAN_UP_PERIOD = 2.5  # seconds in which it then has to clean up
# Ctrl-C, kill, a closed terminal, Ctrl-\, how schedulers of batch jobs tell that the time is nearly up, and timers
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF")
_NUMBERS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]  # Windows has but two
on_signal: set[Callable[[], None]] = set()  # what the handler calls
on_deadline: set[Callable[[], None]] = set()  # what is called where a clean-up took too long, before the process ends

_received: int | None = None
_raised = False
_insists = True  # that a command comes to a `check`


class Stopped(KeyboardInterrupt):
    """A signal has asked this process to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(number).name}. Run it again to continue it.")
        self.number = number


def message(number: int) -> str:
    """Say that a command has been interrupted."""
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    return f"Interrupted{by}. Give the same command again to go on."


def handle(insist: bool = True) -> dict[int, object]:
    """Handle signals from now on, but for those that whoever started this process has had ignored, as nohup does.

    Return the handlers that there were. Only a main thread can handle signals; elsewhere nothing happens.
    insist: raise what has come in the middle of whatever is done, if no `check` comes within the grace period.
    """
    global _insists
    if threading.current_thread() is not threading.main_thread():
        return {}
    _insists = insist
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, _enforce_deadline):  # the latter where one has come already
            signal.signal(number, _receive)
    if hasattr(signal, "pthread_sigmask"):  # those that `hold` has held
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NUMBERS)
    return dict(before)


def hold() -> None:
    """Have signals, one that has come included, wait for the program that takes this one's place to handle them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    if _received is not None:
        cancel_deadline()
        os.kill(os.getpid(), _received)


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Handle signals within the block, for example of a notebook. It has to call `check` now and then."""
    global _received, _raised
    before = handle()
    if not before or _receive in before.values():  # the whole command does
        yield
        return
    try:
        yield
        check()
    finally:
        if _received is not None:
            cancel_deadline()
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        _received, _raised = None, False


def cancel_deadline() -> None:
    """Insist no longer: the clean-up has ended in time."""
    _set_deadline(0)


def ignore() -> None:
    """Ignore signals from now on: how the command has ended is known, and they would only end it in another way."""
    cancel_deadline()
    for number in signal.valid_signals():
        if signal.getsignal(number) == _receive:
            signal.signal(number, signal.SIG_IGN)


def check() -> None:
    """Raise Stopped if a signal has come: called where nothing is half done."""
    global _raised
    if _received is not None:
        if not _raised:
            _raised = True
            _set_deadline(CLEAN_UP_PERIOD)
        raise Stopped(_received)


def _receive(number: int, frame: FrameType | None) -> None:
    global _received
    if _received is None:
        _received = number
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _enforce_deadline)
        _set_deadline(GRACE_PERIOD * _insists)
        for call in tuple(on_signal):
            call()


def _set_deadline(seconds: float) -> None:
    """Have `_enforce_deadline` called, where there is such an alarm; 0 for never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _enforce_deadline(number: int, frame: FrameType | None) -> None:
    if _raised and _received is not None:  # and it is still cleaning up
        try:
            if select.select([], [2], [], 0)[1]:  # else nobody reads it, and it would be waited for
                os.write(2, f"{message(_received)}\n".encode())
            for call in tuple(on_deadline):
                with contextlib.suppress(Exception):
                    call()
        finally:
            os._exit(128 + _received)
    check()
