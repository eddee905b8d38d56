"""Dead letters: list them, send them back. The same for every door."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from mainspring.core import ids, queues
from mainspring.core.idempotency import Once, Replay
from mainspring.core.limits import REDRIVE_BATCH
from mainspring.core.messages import tell
from mainspring.core.model import Page
from mainspring.core.ports import Core
from mainspring.core.queue_model import DeadLetter, Queue, Redrive, Redriven


class Pick(msgspec.Struct, frozen=True):
    """Which dead letters: one, or the oldest `limit` of those that have been dead since `since` (ms); None: all."""

    message_id: str | None = None
    since: int = 0
    limit: int | None = None


def is_source(queue: Queue) -> bool:
    """Whether a queue's name stands for the dead letters that come from it; else for those that are in it."""
    return not queue.holds_dead


async def page(core: Core, project: str, name: str, page: Page) -> tuple[Queue, list[DeadLetter]]:
    """The dead letters of a queue, or those in a dead-letter queue, newest first. Raises `NotFound`."""
    queue = await queues.named(core, project, name)
    return queue, await core.store.dead_letters.page(queue, page, by_source=is_source(queue))


async def redrive(
    core: Core, now: int, project: str, name: str, pick: Pick, once: Once | None
) -> tuple[Queue, Redriven | Replay]:
    """Send dead letters back to the end of the queues they came from, oldest first; those leased now stay.

    All of them in steps of 1,000: what a broken-off call has sent back stays there. Raises `NotFound`.
    """
    queue = await queues.named(core, project, name)
    wish = Redrive(queue, is_source(queue), since=pick.since, once=once)
    if pick.message_id is not None:
        key = ids.key_of("msg", pick.message_id)
        return queue, await _step(core, replace(wish, message_id=-1 if key is None else key, limit=1))
    if once is not None and (
        first := await core.store.recall(now, once.project, once.operation, once.key, once.body_hash)
    ):
        return queue, first
    done, left = 0, pick.limit
    while left is None or left > REDRIVE_BATCH:
        step = await _step(core, replace(wish, limit=REDRIVE_BATCH, once=None))
        assert isinstance(step, Redriven)
        done += step.count
        left = None if left is None else left - step.count
        if step.count < REDRIVE_BATCH:
            left = 0
    return queue, await _step(core, replace(wish, limit=left, done=done))


async def _step(core: Core, wish: Redrive) -> Redriven | Replay:
    redriven = await core.store.redrive(wish)
    if isinstance(redriven, Redriven):
        tell(core, redriven.ready)
    return redriven
