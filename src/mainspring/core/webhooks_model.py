"""Webhooks, as data. Instants and durations are milliseconds; `None` means "not set"."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.core.idempotency import Once
from mainspring.core.model import Attempt, Page, Run, RunState, Target

DeliveryState = Literal["queued", "sending", "retrying", "delivered", "failed", "cancelled"]
EndpointState = Literal["active", "failing", "resting", "disabled"]
CircuitEnd = Literal["disabled", "deleted"]
EndKind = Literal["delivered", "failed", "gone", "neither"]
OwnEventType = Literal[
    "cron.run.failed",
    "cron.run.recovered",
    "cron.missed",
    "queue.dead_lettered",
    "webhook.endpoint_disabled",
    "test",
]

STATE_OF: dict[RunState, DeliveryState] = {
    "queued": "queued",
    "running": "sending",
    "retrying": "retrying",
    "succeeded": "delivered",
    "failed": "failed",
    "cancelled": "cancelled",
}
RUN_STATE_OF: dict[DeliveryState, RunState] = {shown: state for state, shown in STATE_OF.items()}


class Endpoint(msgspec.Struct, frozen=True):
    """Where events of a project are sent. Its URL, headers, secret, timeout and retries are those of its target.

    `events`: the filters, of which one has to match. `rate_milli`: attempts per 1,000 s. `ordered`: one at a time, in
    the order of their acceptance. `earlier`: the secrets before the present one, sealed; they sign beside it until
    `earlier_until`. `version` grows by one with every edit.
    """

    id: int
    project: str
    target_id: int
    events: tuple[str, ...]
    description: str
    max_concurrency: int
    rate_milli: int | None
    ordered: bool
    earlier: bytes | None
    earlier_until: int | None
    version: int
    created_at: int
    updated_at: int
    disabled_at: int | None
    disabled_because: str | None


class Circuit(msgspec.Struct, frozen=True):
    """How an endpoint is doing, or (with `origin`) a host to which a project sends without one.

    `room`: how many deliveries may be let through at a time, `active` how many are. `trusted`: the last word from there
    was a success. `streak`: deliveries that failed in a row, `last_failed` the last of them; `open_until`: nothing is
    let through before then; `hold_until`: the same, because the target asked for it or an ordered one waits for its
    head. `rate_at`: microseconds, for the rate limit. `next_at`: when to look whether another one may go. `ended`:
    nothing goes any more.
    """

    id: int
    project: str
    origin: str | None
    room: int
    ordered: bool
    rate_milli: int | None
    active: int
    trusted: bool
    streak: int
    last_failed: int | None
    failing_since: int | None
    open_until: int
    hold_until: int
    rate_at: int
    next_at: int | None
    ended: CircuitEnd | None

    @property
    def lane(self) -> str:
        """Where its deliveries wait until they are let through."""
        return f"gate:{self.id}"


class EndpointEntry(msgspec.Struct, frozen=True):
    """An endpoint with its target and how it is doing, as a door shows it."""

    endpoint: Endpoint
    target: Target
    circuit: Circuit

    def state(self, now: int) -> EndpointState:
        if self.endpoint.disabled_at is not None:
            return "disabled"
        if self.circuit.open_until > now:
            return "resting"
        return "active" if self.circuit.failing_since is None else "failing"


class NewEndpoint(msgspec.Struct, frozen=True):
    """An endpoint to be made; the store gives the ids."""

    endpoint: Endpoint
    target: Target
    once: Once | None


class EndpointChange(msgspec.Struct, frozen=True):
    """An edit of one endpoint, valid only while its version is still `entry.endpoint.version`.

    `target`: a new target, if that changed; `enable`: it begins anew with its target; `delete`: it goes for good.
    """

    entry: EndpointEntry
    endpoint: Endpoint
    target: Target | None = None
    enable: bool = False
    delete: bool = False
    once: Once | None = None


class Delivery(msgspec.Struct, frozen=True):
    """One thing to be delivered: a run, and what is known of it beyond that. `url` is where it goes, or went.

    `webhook_id`: the delivery under whose id the receiver knows it; other than its own for a replay.
    """

    run: Run
    endpoint_id: int | None
    event: str | None
    webhook_id: int
    replay_of: int | None
    replayed_at: int | None
    cancelled_at: int | None
    url: str

    @property
    def state(self) -> DeliveryState:
        return STATE_OF[self.run.state]


class DeliveryWithAttempts(msgspec.Struct, frozen=True):
    """A delivery with its attempts in order; the one in flight, if there is one, is on the run itself."""

    delivery: Delivery
    attempts: tuple[Attempt, ...]


class NewDelivery(msgspec.Struct, frozen=True):
    """A payload to be sent to a target that is no endpoint."""

    project: str
    target: Target
    event: str | None
    payload: bytes
    once: Once | None


class Emission(msgspec.Struct, frozen=True):
    """An event for all endpoints of a project whose filters match, or for one endpoint alone. `data` is JSON."""

    project: str
    type: str
    data: bytes
    only: int | None = None
    once: Once | None = None


class Emitted(msgspec.Struct, frozen=True):
    """What became of an emission: the event's id, and the deliveries made of it."""

    event_id: int
    type: str
    deliveries: tuple[int, ...]


class OwnEvent(msgspec.Struct, frozen=True):
    """Something that has happened in the service, to be told in the transaction that makes it so. `data` is JSON.

    `id`: the event's, where it is known already; None: a new one.
    """

    project: str
    type: OwnEventType
    at: int
    data: bytes
    id: int | None = None


class DeliveryFilter(msgspec.Struct, frozen=True):
    """Which deliveries: made in [since, until), of an endpoint, of an event, in a state. None: whatever it is."""

    state: RunState | None = None
    event: str | None = None
    endpoint_id: int | None = None
    since: int = 0
    until: int | None = None
    unreplayed: bool = False


class Replaying(msgspec.Struct, frozen=True):
    """Deliveries to be sent again: one by id, or the oldest `limit` that match. `new_id`: under ids of their own."""

    project: str
    chosen: int | DeliveryFilter
    limit: int
    new_id: bool
    once: Once | None


class Replayed(msgspec.Struct, frozen=True):
    """What was made of that; `more`: others match still."""

    deliveries: tuple[Delivery, ...]
    more: bool


class Cancelling(msgspec.Struct, frozen=True):
    """A delivery that is not to be tried any more."""

    project: str
    delivery_id: int
    once: Once | None


class Outgoing(msgspec.Struct, frozen=True):
    """What a dispatcher has to know of a delivery beyond its claim, as it is at the moment it is sent.

    `target_id`: the endpoint's present target, else the run's. `earlier`: sealed secrets that sign beside the present
    one until `earlier_until`. `stopped`: why it is not to be sent at all. `trusted`: the last word from its target was
    a success.
    """

    run_id: int
    circuit_id: int
    endpoint_id: int | None
    target_id: int
    webhook_id: int
    earlier: bytes | None
    earlier_until: int | None
    probe: bool
    uncounted: int
    stopped: str | None
    trusted: bool = True


class DeliveryEnd(msgspec.Struct, frozen=True):
    """How an attempt ended, as far as its target is concerned. `rest_until`: it wants to be left alone until then.

    `neither`: it says nothing about the target (cut short by us, or told to come back later).
    """

    run_id: int
    kind: EndKind
    rest_until: int = 0


class DisabledEndpoint(msgspec.Struct, frozen=True):
    """An endpoint that has just been switched off by what its target answered."""

    project: str
    endpoint_id: int
    reason: str


class DeliveryPage(msgspec.Struct, frozen=True):
    """Which deliveries of a project to list, newest first."""

    project: str
    filter: DeliveryFilter
    page: Page
