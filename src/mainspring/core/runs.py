"""Runs: what is sent, and what becomes of a run when its attempt has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec
import re2

from mainspring import __version__
from mainspring.core import ids, limits, retry
from mainspring.core.changes import Claim, FollowUp, ManualRun, Result
from mainspring.core.drafts import opened_headers
from mainspring.core.errors import Conflict, NotFound
from mainspring.core.forms import CONTENT_TYPE, form_of
from mainspring.core.headers import outbound_headers
from mainspring.core.idempotency import Once, Replay
from mainspring.core.model import FINAL_STATES, Attempt, Expect, LoggedAttempt, Page, Run, RunState, Target
from mainspring.core.ports import Core, Outcome, Request, Vault
from mainspring.core.urls import origin_of
from mainspring.core.webhooks_events import body_of, run_failed
from mainspring.core.webhooks_model import Outgoing

EMPTY = b"{}"
EARLIER_PURPOSE = "earlier secrets"
INTERRUPTED = "interrupted"
_BODILESS = frozenset({"GET", "DELETE"})
_TIES = 64


def request(vault: Vault, claim: Claim, target: Target, now: int, delivery: Outgoing | None = None) -> Request:
    """The request of one attempt, signed with this attempt's timestamp; the body is the accepted one, byte for byte.

    A webhook delivery is named as one, and signed with the secrets before the present one while those are valid.
    """
    body = claim.payload if claim.payload is not None else target.payload
    if body is None:
        body = b"" if target.method in _BODILESS else EMPTY
    match target.kind:
        case "rpc":
            return Request(target.method, target.address, (), body, target.timeout_ms, _kept(target))
        case "queue" | "agent" | "script" | "server":
            raise AssertionError("what goes there is handed over, not sent")
        case "form":
            body = form_of(body or EMPTY)
        case "http" | "text":
            pass
        case _ as never:
            assert_never(never)
    custom = opened_headers(vault, target)
    if target.kind == "form":
        custom["Content-Type"] = CONTENT_TYPE
    headers = outbound_headers(
        version=__version__,
        run_id=ids.text("run" if delivery is None else "dlv", claim.run_id),
        attempt=claim.attempt,
        scheduled_for=claim.scheduled_for,
        now=now,
        body=body,
        custom=tuple(custom.items()),
        secrets=_secrets(vault, target, delivery, now),
        style=target.signature_style,
        webhook_id=None if delivery is None else ids.text("dlv", delivery.webhook_id),
        idempotency_key=None if delivery is None else ids.text("dlv", delivery.webhook_id),
    )
    return Request(target.method, target.address, headers, body, target.timeout_ms, _kept(target))


def _secrets(vault: Vault, target: Target, delivery: Outgoing | None, now: int) -> tuple[str, ...]:
    """The secrets to sign with, newest first."""
    if target.secret is None:
        return ()
    present = vault.unseal(target.secret, "secret").decode()
    if delivery is None or delivery.earlier is None or (delivery.earlier_until or 0) <= now:
        return (present,)
    kept = msgspec.json.decode(vault.unseal(delivery.earlier, EARLIER_PURPOSE), type=list[tuple[str, int]])
    return (present, *(secret for secret, until in kept if until > now))


def _kept(target: Target) -> int:
    """How much of the response is needed: all of it where it is searched."""
    searched = target.expect is not None and target.expect.body_regexp is not None
    return limits.RESPONSE_BYTES_MAX if searched else limits.RESPONSE_KEPT_BYTES


def after(claim: Claim, target: Target, outcome: Outcome, dice: float, delivery: Outgoing | None = None) -> Result:
    """What becomes of the run: over, or another attempt. `dice` (0 <= dice < 1) is the jitter."""
    error = _judge(target.expect, outcome)
    if delivery is not None:
        return _after_delivery(claim, target, outcome, error, dice, delivery)
    due_at = None
    if error is not None and outcome.kind != "forbidden":
        due_at = retry.next_attempt_at(target, claim.attempt, outcome.ended_at, outcome.retry_after_ms, dice)
    return _result(claim, target, outcome, error, due_at)


def _after_delivery(
    claim: Claim, target: Target, outcome: Outcome, error: str | None, dice: float, delivery: Outgoing
) -> Result:
    """What becomes of a webhook delivery. A probe that failed costs it no retry: it waits until its target may be
    tried again, though no longer than 5 days in all. 410 is the end."""
    due_at, now = None, outcome.ended_at
    if error is not None and outcome.kind != "forbidden" and outcome.status != 410:
        if not delivery.probe:
            counted = claim.attempt - delivery.uncounted
            due_at = retry.next_delivery_at(target, counted, now, outcome.retry_after_ms, dice)
        elif now - ids.made_at(claim.run_id) < limits.ENDPOINT_FAILING_MAX:
            due_at = now
    rest_until = 0
    if outcome.status in (429, 503) and outcome.retry_after_ms is not None:
        rest_until = now + min(max(outcome.retry_after_ms, limits.SECOND), limits.RETRY_AFTER_MAX)
    result = _result(claim, target, outcome, error, due_at)
    return msgspec.structs.replace(result, delivery=delivery, rest_until=rest_until)


def interrupted(run: Run, target: Target, now: int, delivery: Outgoing | None = None) -> Result:
    """A run found running after its lease: the attempt counts; with retries left it is sent again at once."""
    claim = Claim(
        run_id=run.id,
        schedule_id=run.schedule_id,
        project=run.project,
        kind=run.kind,
        trigger=run.trigger,
        scheduled_for=run.scheduled_for,
        target_id=run.target_id,
        origin=run.origin,
        payload=run.payload,
        attempt=run.attempt,
        started_at=run.attempt_started_at or run.started_at,
    )
    counted = run.attempt - (0 if delivery is None else delivery.uncounted)
    due_at = now if counted <= target.retry else None
    result = _result(claim, target, Outcome(kind="connection", ended_at=now), INTERRUPTED, due_at)
    return msgspec.structs.replace(result, delivery=delivery)


def _judge(expect: Expect | None, outcome: Outcome) -> str | None:
    """None when the attempt succeeded, else the reason it did not."""
    match outcome.kind:
        case "reply":
            status, wanted = outcome.status, None if expect is None else expect.statuses
            if status is not None and not (200 <= status < 300 if wanted is None else status in wanted):
                return outcome.error or f"HTTP status {status}"
            if outcome.error is not None:
                return outcome.error
            if expect is not None and expect.body_regexp is not None:
                options = re2.Options()
                options.encoding = re2.Options.Encoding.LATIN1
                if re2.compile(expect.body_regexp.encode(), options).search(outcome.body) is None:
                    return "the response body does not match expect.body_regexp"
            return None
        case "forbidden" | "timeout" | "connection":
            return outcome.error or outcome.kind
        case _ as never:
            assert_never(never)


def _result(claim: Claim, target: Target, outcome: Outcome, error: str | None, due_at: int | None) -> Result:
    state: RunState = "succeeded" if error is None else "retrying" if due_at is not None else "failed"
    return Result(
        claim=claim,
        state=state,
        due_at=due_at,
        sent_at=outcome.sent_at,
        ended_at=outcome.ended_at,
        status=outcome.status,
        body=outcome.body[: limits.RESPONSE_KEPT_BYTES] or None,
        error=error,
        follow_up=_failure_call(claim, target, outcome, error) if state == "failed" else None,
    )


def _failure_call(claim: Claim, target: Target, outcome: Outcome, error: str | None) -> FollowUp | None:
    """The call to `on_failure_webhook`, once, when a run has finally failed."""
    if target.on_failure is None:
        return None
    event = run_failed(claim, outcome.ended_at, outcome.status, error)
    return FollowUp(
        project=claim.project,
        target=Target(
            id=0,
            kind="http",
            address=target.on_failure,
            origin=origin_of(target.on_failure),
            method="POST",
            payload=None,
            headers=None,
            secret=target.secret,
            signature_style=target.signature_style,
            timeout_ms=30 * limits.SECOND,
            retry=limits.RETRY_DEFAULT,
            retry_delays_ms=None,
            expect=None,
            on_failure=None,
        ),
        payload=body_of(claim.run_id, event.type, event.at, event.data),
    )


async def get(core: Core, project: str, run_id: int) -> tuple[Run, list[Attempt]]:
    """A run of a cron job or task with its ended attempts, in order. Raises `NotFound`."""
    found = await core.store.runs.get(project, run_id)
    if found is None or found[0].kind not in ("cron", "task"):
        raise NotFound("there is no such run", hint="List the runs to see their ids.")
    run, attempts = found
    if not attempts and run.attempt == 1 and run.finished_at is not None:
        attempts = [only_attempt(run)]
    return run, attempts


def only_attempt(run: Run) -> Attempt:
    """The one attempt of a run that ended with its first; it is kept on the run's own row."""
    assert run.finished_at is not None
    return Attempt(
        run_id=run.id,
        attempt=1,
        started_at=run.started_at,
        sent_at=run.sent_at,
        ended_at=run.finished_at,
        status=run.status,
        body=run.body,
        error=run.error,
    )


async def replay(core: Core, project: str, run_id: int, once: Once | None) -> Run | Replay:
    """Run once more, to the target and with the payload that a run had, what that run was about; under the overlap
    policy of its schedule. Raises `NotFound`, `Conflict` (overlap, not over yet, schedule deleted)."""
    run, _ = await get(core, project, run_id)
    if run.state not in FINAL_STATES:
        raise Conflict("this run is still under way", hint="Wait for its end; its retries are part of it.")
    assert run.schedule_id is not None
    again = ManualRun(project, run.schedule_id, "replay", run.payload, once, again=run)
    made = await core.store.trigger_run(again)
    core.wakeup.dispatcher()
    return made


async def page_of_schedule(
    core: Core, schedule_id: int, page: Page, *, state: RunState | None = None, since: int = 0
) -> list[Run]:
    """Runs of one schedule, newest instant first, due at or after `since`."""
    return await core.store.runs.page_of_schedule(schedule_id, state, since, page)


async def page(
    core: Core, project: str, page: Page, *, state: RunState | None = None, since: int = 0, until: int | None = None
) -> list[Run]:
    """Runs of all cron jobs and tasks, newest first, made in [since, until)."""
    before = page.before[0] if page.before else ids.KEY_MAX
    if until is not None:
        before = min(before, ids.floor_of(until))
    return await core.store.runs.page(project, state, ids.floor_of(since), before, page.limit)


async def attempts(core: Core, schedule_ids: Sequence[int], before: int, limit: int) -> list[LoggedAttempt]:
    """Attempts of these schedules, also those in flight, newest first: those with a number below `before`.

    A few more than `limit` when several have the number of the last one.
    """
    found = await core.store.runs.attempts(schedule_ids, before, limit + _TIES)
    shown = found[:limit]
    return shown + [one for one in found[limit:] if one.number == shown[-1].number]
