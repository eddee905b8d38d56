"""How a target is doing, and what may go to it now. Pure.

A target that fails again and again is left alone: after 10 deliveries that failed in a row its circuit is open, and
what waits for it waits without attempts. When the rest is over one delivery goes through as a probe; each probe that
fails doubles the rest, up to 10 minutes, and costs the delivery no retry. A lone delivery never opens a circuit: its
own delays are pause enough. A success closes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mainspring.core.limits import (
    DAY,
    DELIVERY_REST_FIRST,
    DELIVERY_REST_MAX,
    DELIVERY_STREAK_MAX,
    ENDPOINT_FAILING_MAX,
    SECOND,
)
from mainspring.core.webhooks_model import Circuit, DeliveryEnd

_MICROS = 1_000
AHEAD = 30 * DAY
GONE = "the endpoint answered 410: it is gone"


def probing(circuit: Circuit) -> bool:
    """Whether what goes next goes alone, to see if the target is back."""
    return circuit.streak >= DELIVERY_STREAK_MAX


def room_at(circuit: Circuit, now: int) -> int:
    """How many more deliveries may be let through now."""
    if circuit.ended is not None or max(circuit.open_until, circuit.hold_until) > now:
        return 0
    return max(0, min(_room(circuit) - circuit.active, _allowance(circuit, now)))


def _room(circuit: Circuit) -> int:
    return 1 if probing(circuit) or circuit.ordered else circuit.room


def nothing_waits(circuit: Circuit) -> bool:
    """Whether its gate is known to be empty: else there would be an instant to look there, or no room to do so."""
    return circuit.next_at is None and circuit.ended is None and circuit.active < _room(circuit)


def let_through(circuit: Circuit, count: int, now: int) -> Circuit:
    """The circuit after `count` deliveries were let through now."""
    rate_at = circuit.rate_at
    if circuit.rate_milli is not None:
        rate_at = max(rate_at, now * _MICROS) + count * _interval(circuit.rate_milli)
    return replace(circuit, active=circuit.active + count, rate_at=rate_at)


def look_at(circuit: Circuit, now: int, first_due: int | None) -> int | None:
    """When another delivery may go; `first_due`: when the first of those that wait is due. None: when one has ended."""
    if first_due is None:
        return None
    if circuit.ended is not None:
        return now
    if circuit.active >= _room(circuit):
        return None
    at = max(first_due, circuit.open_until, circuit.hold_until, _rate_free_at(circuit))
    # A new target comes before those that fail.
    return at - AHEAD if at <= now and not circuit.trusted and circuit.failing_since is None else at


def _interval(rate_milli: int) -> int:
    """Microseconds between two attempts."""
    return 1_000_000_000 // rate_milli


def _burst(rate_milli: int) -> int:
    """Microseconds' worth that may go at once after a pause: a second's, at least one attempt."""
    return max(SECOND * _MICROS, _interval(rate_milli))


def _allowance(circuit: Circuit, now: int) -> int:
    """How many the rate limit allows now (the generic cell rate algorithm, ITU-T I.371)."""
    if circuit.rate_milli is None:
        return circuit.room
    behind = max(circuit.rate_at - now * _MICROS, 0)
    return (_burst(circuit.rate_milli) - behind) // _interval(circuit.rate_milli)


def _rate_free_at(circuit: Circuit) -> int:
    """The instant from which the rate limit allows one."""
    if circuit.rate_milli is None:
        return 0
    free = circuit.rate_at - _burst(circuit.rate_milli) + _interval(circuit.rate_milli)
    return -(-free // _MICROS)


def after(circuit: Circuit, ends: Sequence[DeliveryEnd], now: int) -> Circuit:
    """The circuit after attempts that ended together.

    A success ends a row of failures. What was in flight when a rest began does not lengthen it.
    """
    hold_until = max(circuit.hold_until, *(end.rest_until for end in ends)) if ends else circuit.hold_until
    circuit = replace(circuit, active=max(0, circuit.active - len(ends)), hold_until=hold_until)
    if any(end.kind == "delivered" for end in ends):
        return replace(circuit, trusted=True, streak=0, last_failed=None, failing_since=None, open_until=0)
    failed = [end.run_id for end in ends if end.kind in ("failed", "gone")]
    if not failed:
        return circuit
    streak, open_until = circuit.streak, circuit.open_until
    if open_until <= now:
        fresh = set(failed) - {circuit.last_failed}
        streak = streak + 1 if probing(circuit) else min(streak + len(fresh), DELIVERY_STREAK_MAX)
        if streak >= DELIVERY_STREAK_MAX:
            open_until = now + _rest(circuit.id, streak)
    return replace(
        circuit,
        trusted=False,
        streak=streak,
        last_failed=failed[-1],
        failing_since=now if circuit.failing_since is None else circuit.failing_since,
        open_until=open_until,
    )


def _rest(circuit_id: int, streak: int) -> int:
    """30 s, doubled with each failed probe, at most 10 minutes; +-10 % that differ from circuit to circuit."""
    rest = min(DELIVERY_REST_FIRST << min(streak - DELIVERY_STREAK_MAX, 10), DELIVERY_REST_MAX)
    spread = (circuit_id * 7_919 + streak * 104_729) % 2_001 - 1_000
    return rest + rest * spread // 10_000


def disabled_because(circuit: Circuit, ends: Sequence[DeliveryEnd], now: int) -> str | None:
    """Why an endpoint with this circuit (as it is after `ends`) is to be switched off: gone, or failing for 5 days."""
    if circuit.origin is not None or circuit.ended is not None:
        return None
    if any(end.kind == "gone" for end in ends):
        return GONE
    if outlasted(circuit, now):
        return f"every attempt has failed for {ENDPOINT_FAILING_MAX // (86_400 * SECOND)} days"
    return None


def outlasted(circuit: Circuit, now: int) -> bool:
    """Whether the target has failed for so long that waiting for it is over."""
    return circuit.failing_since is not None and now - circuit.failing_since >= ENDPOINT_FAILING_MAX
