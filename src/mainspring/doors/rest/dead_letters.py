"""Dead letters over REST."""

from __future__ import annotations

from msgspec import Raw

from mainspring.core import dead_letters, ids
from mainspring.core.dead_letters import Pick
from mainspring.core.idempotency import Replay
from mainspring.core.ids import made_at
from mainspring.core.instants import iso
from mainspring.core.queue_model import DeadLetter
from mainspring.core.queue_model import Redriven as Done
from mainspring.doors.rest.calls import Call, answered, cut, instant_of, page_of
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.messages import headers_of
from mainspring.doors.rest.queue_requests import RedriveFields
from mainspring.doors.rest.queue_results import DeadLetterPage, DeadLetterRecord, Redriven
from mainspring.doors.rest.requests import Nothing, PageQuery


async def page(call: Call[Nothing, PageQuery]) -> DeadLetterPage:
    """The dead letters of a queue, or in a dead-letter queue, newest first."""
    where = page_of(call.query, Listing.DEAD_LETTERS, 2)
    queue, found = await dead_letters.page(call.core, call.project, call.path[0], where)
    rows, following = cut(found, call.query, Listing.DEAD_LETTERS, lambda letter: (letter.dead_at, letter.id))
    return DeadLetterPage([_record(queue.name, letter) for letter in rows], following)


def _record(queue: str, letter: DeadLetter) -> DeadLetterRecord:
    public = ids.text("msg", letter.id)
    return DeadLetterRecord(
        message_id=public,
        id=public,
        queue=queue,
        source_queue=letter.source,
        payload=Raw(letter.payload),
        attempt=letter.attempt,
        failures=letter.failures,
        reason=letter.reason,
        group_id=letter.group_id,
        message_group_id=letter.group_id,
        headers=headers_of(letter.headers),
        published_at=iso(made_at(letter.id)),
        dead_lettered_at=iso(letter.dead_at),
    )


async def redrive(call: Call[RedriveFields, Nothing]) -> Redriven | Replay:
    """Send dead letters back to where they came from."""
    name, body = call.path[0], call.body

    def render(done: Done) -> Redriven:
        return Redriven(name, name, done.count)

    since = instant_of(body.since, "since")
    pick = Pick(
        message_id=body.message_id if isinstance(body.message_id, str) else None,
        since=since if isinstance(since, int) else 0,
        limit=body.max_messages if isinstance(body.max_messages, int) else None,
    )
    _, done = await dead_letters.redrive(call.core, call.now, call.project, name, pick, call.once(render))
    return answered(done, render)
