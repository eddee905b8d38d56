"""How a target is judged, and what may go to it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mainspring.core import webhooks_circuits
from mainspring.core.limits import (
    DAY,
    DELIVERY_REST_FIRST,
    DELIVERY_REST_MAX,
    DELIVERY_STREAK_MAX,
    ENDPOINT_FAILING_MAX,
    SECOND,
)
from mainspring.core.webhooks_model import Circuit, DeliveryEnd, EndKind

NOW = 1_763_629_200_000
CIRCUIT = Circuit(
    id=1,
    project="default",
    origin=None,
    room=8,
    ordered=False,
    rate_milli=None,
    active=0,
    trusted=True,
    streak=0,
    last_failed=None,
    failing_since=None,
    open_until=0,
    hold_until=0,
    rate_at=0,
    next_at=None,
    ended=None,
)


def end(kind: EndKind, run_id: int = 1, rest_until: int = 0) -> DeliveryEnd:
    return DeliveryEnd(run_id, kind, rest_until)


def after(circuit: Circuit, *ends: DeliveryEnd, now: int = NOW) -> Circuit:
    return webhooks_circuits.after(replace(circuit, active=circuit.active + len(ends)), ends, now)


def opened(now: int = NOW, **fields: Any) -> Circuit:
    circuit = replace(CIRCUIT, **fields)
    for run_id in range(DELIVERY_STREAK_MAX):
        circuit = after(circuit, end("failed", run_id), now=now)
    return circuit


def test_ten_deliveries_that_failed_in_a_row_open_a_circuit_and_nine_do_not() -> None:
    circuit = CIRCUIT
    for run_id in range(DELIVERY_STREAK_MAX - 1):
        circuit = after(circuit, end("failed", run_id))
    assert webhooks_circuits.room_at(circuit, NOW) == 8
    circuit = after(circuit, end("failed", 99))
    assert circuit.open_until > NOW
    assert webhooks_circuits.room_at(circuit, circuit.open_until - 1) == 0
    assert webhooks_circuits.room_at(circuit, circuit.open_until) == 1, "a probe goes alone"


def test_one_delivery_that_fails_again_and_again_opens_nothing() -> None:
    circuit = CIRCUIT
    for _ in range(50):
        circuit = after(circuit, end("failed", 7))
    assert (circuit.streak, circuit.open_until) == (1, 0)


def test_each_probe_that_fails_doubles_the_rest_up_to_ten_minutes() -> None:
    circuit = opened()
    rests = []
    for _ in range(8):
        now = circuit.open_until
        circuit = after(circuit, end("failed", 3), now=now)
        rests.append(circuit.open_until - now)
    nominal = [min(DELIVERY_REST_FIRST << n, DELIVERY_REST_MAX) for n in range(1, 9)]
    assert all(0.9 * want <= got <= 1.1 * want for want, got in zip(nominal, rests, strict=True))


def test_what_was_in_flight_when_a_rest_began_does_not_lengthen_it() -> None:
    circuit = opened()
    later = after(circuit, *(end("failed", run_id) for run_id in range(50, 60)), now=NOW + SECOND)
    assert (later.open_until, later.streak) == (circuit.open_until, circuit.streak)


def test_a_success_closes_it_whatever_failed_beside_it() -> None:
    circuit = after(opened(), end("failed", 50), end("delivered", 51))
    assert (circuit.streak, circuit.open_until, circuit.failing_since, circuit.trusted) == (0, 0, None, True)


def test_what_says_nothing_about_a_target_changes_nothing_but_its_room() -> None:
    circuit = after(CIRCUIT, end("neither", rest_until=NOW + 20 * SECOND))
    assert replace(circuit, hold_until=0) == CIRCUIT
    assert webhooks_circuits.room_at(circuit, NOW + 20 * SECOND - 1) == 0
    assert webhooks_circuits.room_at(circuit, NOW + 20 * SECOND) == 8


def test_an_endpoint_is_switched_off_when_it_is_gone_or_has_failed_for_five_days() -> None:
    failing = after(CIRCUIT, end("failed"))
    assert webhooks_circuits.disabled_because(failing, [end("failed")], NOW + 5 * DAY - 1) is None
    reason = webhooks_circuits.disabled_because(failing, [end("failed")], NOW + ENDPOINT_FAILING_MAX)
    assert reason == "every attempt has failed for 5 days"
    assert webhooks_circuits.disabled_because(CIRCUIT, [end("gone")], NOW) == webhooks_circuits.GONE
    assert webhooks_circuits.disabled_because(replace(CIRCUIT, origin="x"), [end("gone")], NOW) is None


def test_nothing_goes_to_what_has_ended_and_what_waits_there_is_looked_at_at_once() -> None:
    ended = replace(CIRCUIT, ended="deleted")
    assert webhooks_circuits.room_at(ended, NOW) == 0
    assert webhooks_circuits.look_at(ended, NOW, NOW + DAY) == NOW
    assert webhooks_circuits.look_at(ended, NOW, None) is None


def test_without_room_nobody_looks_until_something_has_ended() -> None:
    assert webhooks_circuits.look_at(replace(CIRCUIT, active=8), NOW, NOW) is None
    assert webhooks_circuits.look_at(replace(CIRCUIT, active=7), NOW, NOW) == NOW
    assert webhooks_circuits.look_at(replace(CIRCUIT, open_until=NOW + 5), NOW, NOW) == NOW + 5


@given(
    rate_milli=st.integers(1, 1_000_000),
    waits=st.lists(st.integers(0, 5_000), min_size=1, max_size=60),
)
def test_the_rate_limit_holds_over_any_stretch_of_time(rate_milli: int, waits: list[int]) -> None:
    circuit = replace(CIRCUIT, room=100_000, rate_milli=rate_milli)
    now, gone = NOW, [0]
    for wait in waits:
        now += wait
        room = webhooks_circuits.room_at(circuit, now)
        circuit = webhooks_circuits.let_through(circuit, room, now)
        circuit = replace(circuit, active=0)
        gone.append(gone[-1] + room)
    per_ms = rate_milli / 1_000_000
    burst = max(1.0, rate_milli / 1_000)
    assert gone[-1] <= burst + per_ms * (now - NOW) * 1.01 + 1


@given(rate_milli=st.integers(1, 1_000_000))
def test_who_waits_for_the_rate_limit_is_looked_at_exactly_when_one_may_go(rate_milli: int) -> None:
    circuit = replace(CIRCUIT, room=100_000, rate_milli=rate_milli)
    circuit = webhooks_circuits.let_through(circuit, webhooks_circuits.room_at(circuit, NOW), NOW)
    at = webhooks_circuits.look_at(circuit, NOW, NOW)
    assert at is not None
    assert webhooks_circuits.room_at(circuit, at) >= 1
    assert webhooks_circuits.room_at(circuit, at - 1) == 0 or at == NOW
