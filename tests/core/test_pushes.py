"""The rules of a push, by themselves: what an answer means for the message, and what answers mean for the target."""

from __future__ import annotations

import pytest

from mainspring.core import pushes
from mainspring.core.limits import HOUR, MINUTE, SECOND
from mainspring.core.ports import Outcome
from mainspring.core.push_model import Push, PushResult, Subscription, SubscriptionSettings
from mainspring.core.queue_model import Message, Queue

NOW = 1_763_629_200_000
SETTINGS = SubscriptionSettings("http://a/", None, None, "body", "message", None, None, None, 30 * SECOND, 8)
QUEUE = Queue(
    id=1,
    project="p",
    name="q",
    type="standard",
    dead_letter_id=None,
    last_resort=False,
    holds_dead=False,
    max_retries=5,
    retention_ms=HOUR,
    visibility_ms=30 * SECOND,
    enable_priority=True,
    paused_at=None,
    generation=1,
    version=1,
    created_at=NOW,
    updated_at=NOW,
)


def subscription(streak: int = 0, resting_until: int = 0, ended_at: int | None = None) -> Subscription:
    return Subscription(1, 1, SETTINGS, None, streak, resting_until, NOW, NOW, ended_at, "over" if ended_at else None)


def push(failures: int = 0) -> Push:
    return Push(subscription(), QUEUE, Message(1, b"1", None, None, 9, 1, failures, 1, NOW + 35 * SECOND))


def reply(status: int, asked: int | None = None, failures: int = 0, dice: float = 0.5) -> PushResult:
    outcome = Outcome("reply", NOW, sent_at=NOW, status=status, retry_after_ms=asked)
    return pushes.after(push(failures), outcome, NOW - SECOND, dice)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_acknowledges(status: int) -> None:
    result = reply(status)
    assert (result.verb, result.error, result.failed, result.gone) == ("ack", None, False, False)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 5), (1, 15), (2, 45), (3, 135), (4, 405), (5, 900), (60, 900)])
def test_a_failure_waits_three_times_as_long_as_the_one_before(failures: int, seconds: int) -> None:
    result = reply(500, failures=failures)
    assert (result.verb, result.visible_at, result.failed) == ("nack", NOW + seconds * SECOND, True)
    least, most = (reply(500, failures=failures, dice=dice).visible_at - NOW for dice in (0.0, 1.0))
    assert (least, most) == (seconds * 900, seconds * 1_100)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "until"), [(0, SECOND), (90_000, 90_000), (HOUR, HOUR), (5 * HOUR, HOUR)])
def test_a_target_that_asks_for_time_gets_it(status: int, asked: int, until: int) -> None:
    result = reply(status, asked)
    assert (result.verb, result.visible_at, result.rest_until) == ("release", NOW + until, NOW + until)
    assert not result.failed


@pytest.mark.parametrize("status", [429, 503])
def test_one_that_names_no_time_has_failed(status: int) -> None:
    assert (reply(status).verb, reply(status).rest_until) == ("nack", 0)


def test_another_failure_that_names_a_time_waits_the_longer_of_both_and_lets_the_target_be_used() -> None:
    assert reply(500, MINUTE).visible_at == NOW + MINUTE
    assert reply(500, SECOND).visible_at == NOW + 5 * SECOND
    assert reply(500, 9 * HOUR).visible_at == NOW + HOUR
    assert reply(500, MINUTE).rest_until == 0


def test_gone_is_for_good_and_the_message_stays() -> None:
    result = reply(410, MINUTE)
    assert (result.verb, result.visible_at, result.gone, result.failed) == ("release", NOW, True, False)
    after = pushes.troubled(subscription(), [result], NOW)
    assert (after.ended_at, after.ended_because) == (NOW, "the target answered 410: it is gone")
    over = subscription(ended_at=NOW - 1)
    assert pushes.troubled(over, [result], NOW) == over


@pytest.mark.parametrize("status", [None, 200, 410, 503])
def test_what_came_of_an_answer_that_was_cut_short_does_not_count(status: int | None) -> None:
    outcome = Outcome("timeout", NOW, sent_at=NOW, status=status, error="no complete response")
    result = pushes.after(push(), outcome, NOW, 0.5)
    assert (result.verb, result.status, result.error) == ("nack", status, "no complete response")


def test_five_failures_in_a_row_begin_a_rest_that_doubles_with_every_probe() -> None:
    one, now, rests = subscription(), NOW, []
    for _ in range(13):
        one = pushes.troubled(one, [reply(500)], now)
        rests.append(max(0, one.resting_until - now) // SECOND)
        now = max(now, one.resting_until)
    assert rests == [0, 0, 0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert (subscription(4).room, one.room) == (8, 1)


def test_what_was_in_flight_when_the_rest_began_does_not_lengthen_it() -> None:
    one = pushes.troubled(subscription(), [reply(500)] * 100, NOW)
    assert (one.streak, one.resting_until) == (5, NOW + 5 * SECOND)
    assert pushes.troubled(one, [reply(500)] * 100, NOW + SECOND) == one
    again = pushes.troubled(one, [reply(500)] * 100, NOW + 5 * SECOND)
    assert (again.streak, again.resting_until) == (6, NOW + 15 * SECOND)


def test_a_success_among_failures_ends_their_row_but_not_a_rest() -> None:
    mixed = [reply(500), reply(200), reply(500)]
    assert pushes.troubled(subscription(4), mixed, NOW) == subscription()
    until = NOW + MINUTE
    after = pushes.troubled(subscription(7, until), mixed, NOW)
    assert (after.streak, after.resting_until) == (0, until)


def test_being_asked_for_time_neither_ends_nor_lengthens_a_row_of_failures() -> None:
    after = pushes.troubled(subscription(3), [reply(503, MINUTE)], NOW)
    assert (after.streak, after.resting_until) == (3, NOW + MINUTE)
    longer = subscription(3, NOW + HOUR)
    assert pushes.troubled(longer, [reply(503, MINUTE)], NOW) == longer
    both = pushes.troubled(subscription(4), [reply(503, MINUTE), reply(500)], NOW)
    assert (both.streak, both.resting_until) == (5, NOW + MINUTE)


def test_a_request_has_to_be_over_before_its_lease() -> None:
    assert pushes.fits(push(), NOW + 5 * SECOND - 1)
    assert not pushes.fits(push(), NOW + 5 * SECOND)
