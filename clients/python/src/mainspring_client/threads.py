"""A blocking call beside the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_thread(function: Callable[[T], R], argument: T) -> R:
    """The result of a call in a thread of its own, which holds up nobody's exit. What it raises is raised here.

    Cancelled, it stops waiting; the thread goes on, as threads do.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[R] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            tell: Callable[[], None] = _result(ended, context.run(function, argument))
        except BaseException as error:  # noqa: BLE001  # whatever it is, the one who waits has to hear of it
            tell = _failure(ended, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=work, name="mainspring-handler", daemon=True).start()
    return await ended


def _result(ended: asyncio.Future[R], result: R) -> Callable[[], None]:
    def tell() -> None:
        if not ended.done():
            ended.set_result(result)

    return tell


def _failure(ended: asyncio.Future[R], error: BaseException) -> Callable[[], None]:
    # An Exception is what a future can hold and a loop survives: StopIteration, SystemExit and their like are wrapped.
    kept = error if isinstance(error, Exception) and not isinstance(error, StopIteration) else RuntimeError(repr(error))

    def tell() -> None:
        if not ended.done():
            ended.set_exception(kept)

    return tell
