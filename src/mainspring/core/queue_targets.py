"""Runs whose target is a queue: publish, once per run, however often it is attempted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mainspring.core import ids, messages
from mainspring.core.changes import Claim
from mainspring.core.errors import LimitExceeded, Refused
from mainspring.core.idempotency import Answer, Once, Replay
from mainspring.core.limits import SECOND
from mainspring.core.messages import MessageDraft
from mainspring.core.model import Target
from mainspring.core.ports import Core, Outcome
from mainspring.core.queue_model import Published
from mainspring.core.urls import QUEUE_SCHEME

_EMPTY = b"{}"
# No operation of a door has this name, so that no caller's key can be taken for a run's.
_OPERATION = "run"


async def publish(core: Core, clock: Callable[[], int], claim: Claim, target: Target) -> Outcome:
    """One attempt: the payload is on the queue, or why not. The outcome's body says which message it is.

    The run's id is an idempotency key: an attempt that was cut short is repeated without a second message, for 24 h.
    """
    name = target.address.removeprefix(QUEUE_SCHEME)
    payload = claim.payload if claim.payload is not None else target.payload
    once = Once(claim.project, _OPERATION, ids.text("run", claim.run_id), b"", _answer)
    drafts = [MessageDraft(_EMPTY if payload is None else payload)]
    began = clock()
    try:
        done = await messages.publish(core, began, claim.project, name, drafts, once, batch=False)
    except LimitExceeded as full:
        after = full.retry_after_s * SECOND
        return Outcome(kind="connection", ended_at=clock(), error=full.message, retry_after_ms=after)
    except Refused as refused:
        return Outcome(kind="connection", ended_at=clock(), error=refused.message)
    body = done.answer if isinstance(done, Replay) else _answer(done).full
    return Outcome(kind="reply", ended_at=clock(), sent_at=began, body=body)


def _answer(done: Published) -> Answer:
    return Answer(msgspec.json.encode({"message_id": ids.text("msg", done.ids[0])}))
