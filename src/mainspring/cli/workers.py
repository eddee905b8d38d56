"""Several worker processes on one port: each a node of its own, watched by a parent that does nothing else.

The kernel deals connections out among those that listen. A worker that dies is started again. One that does not come
up although none has yet ends all of them, with its exit code. Workers whose parent is gone stop by themselves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable

PAUSE_S = 1.0
_STOP = {signal.SIGTERM, signal.SIGINT}
_WATCHED = {*_STOP, signal.SIGCHLD}

Work = Callable[[int, Callable[[], None]], int]
"""What a worker does: handed a descriptor that ends when its parent does, and a call to make once it is up; returns its
exit code."""


class Workers:
    """Keeps `count` processes at `work`."""

    def __init__(self, count: int, work: Work) -> None:
        self._count = count
        self._work = work
        self._alive: set[int] = set()
        self._any_was_up = False
        self._life, self._lifeline = os.pipe()
        self._heard, self._tell = os.pipe()
        os.set_blocking(self._heard, False)

    def run(self) -> int:
        """Until SIGTERM or SIGINT, which are passed on; the exit code of them all."""
        # A handler of its own: a signal that is ignored is not waited for everywhere.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        self._fill_up()
        while True:
            told = signal.sigtimedwait(_WATCHED, PAUSE_S)
            if told is None:
                self._fill_up()
            elif told.si_signo in _STOP:
                return self._stop()
            for process, code in self._ended():
                if not self._was_any_up():
                    self._stop()
                    return code or 1
                print(f"mainspring: worker {process} ended ({code}), another takes its place", file=sys.stderr)

    def _fill_up(self) -> None:
        while len(self._alive) < self._count:
            process = os.fork()
            if process == 0:
                self._be_a_worker()
            self._alive.add(process)

    def _be_a_worker(self) -> None:
        """Never returns. Out of the terminal's group: Ctrl-C is for the parent, which passes it on."""
        code = 1
        try:
            os.setpgid(0, 0)
            os.close(self._lifeline)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            code = self._work(self._life, self._say_up)
        except BaseException:  # noqa: BLE001  # nothing above this may run a second time, in a copy of the parent
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _say_up(self) -> None:
        os.write(self._tell, b".")

    def _was_any_up(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            self._any_was_up = bool(os.read(self._heard, 4096)) or self._any_was_up
        return self._any_was_up

    def _ended(self) -> list[tuple[int, int]]:
        """The workers that have ended since, with their exit codes (negative: the signal that killed them)."""
        ended = []
        for process in list(self._alive):
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                self._alive.discard(process)
                ended.append((process, os.waitstatus_to_exitcode(status)))
        return ended

    def _stop(self) -> int:
        """Tell all of them and wait; told again, tell them again. 0 when each of them ended well."""
        failed = False
        self._tell_all()
        while self._alive:
            told = signal.sigtimedwait(_WATCHED, PAUSE_S)
            if told is not None and told.si_signo in _STOP:
                self._tell_all()
            # One that was still starting knows no better than to be killed by it.
            failed |= any(code not in (0, -signal.SIGTERM) for _, code in self._ended())
        return int(failed)

    def _tell_all(self) -> None:
        for process in self._alive:
            os.kill(process, signal.SIGTERM)
