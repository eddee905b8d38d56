"""Subscriptions and pushes, as data. Instants and durations are milliseconds; `None` means "not set"."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.core.idempotency import Once
from mainspring.core.limits import PUSH_CONCURRENCY_MAX, PUSH_MARGIN, PUSH_STREAK_MAX
from mainspring.core.model import SignatureStyle
from mainspring.core.queue_model import Message, Queue

PushFormat = Literal["message", "payload"]
PushVerb = Literal["ack", "nack", "release"]
PushOutcome = Literal["acked", "nacked", "released", "lost"]
SubscriptionState = Literal["active", "resting", "ended"]


class SubscriptionSettings(msgspec.Struct, frozen=True):
    """How a subscription pushes, every value decided. `headers` and `secret` are sealed.

    `max_retries` and `dead_letters` (the name of a queue) stand in for the queue's; `visibility_ms` None: as the queue
    says. `format`: the message with what is known of it, or its bare payload.
    """

    url: str
    secret: bytes | None
    headers: bytes | None
    signature_style: SignatureStyle
    format: PushFormat
    max_retries: int | None
    dead_letters: str | None
    visibility_ms: int | None
    timeout_ms: int
    max_concurrency: int


class Subscription(msgspec.Struct, frozen=True):
    """A consumer that lives in the server.

    `streak`: failed pushes in a row; `resting_until`: nothing is claimed before then. `ended_because` is in words.
    """

    id: int
    queue_id: int
    settings: SubscriptionSettings
    dead_letter_id: int | None
    streak: int
    resting_until: int
    created_at: int
    updated_at: int
    ended_at: int | None
    ended_because: str | None

    @property
    def holder(self) -> int:
        """What it is called as the holder of leases: negative, so that it is never a credential."""
        return -self.id

    def state(self, now: int) -> SubscriptionState:
        if self.ended_at is not None:
            return "ended"
        return "resting" if self.resting_until > now else "active"

    def lease_ms(self, queue: Queue) -> int:
        """Never shorter than a request may take, so a message is not posted twice at a time."""
        settings = self.settings
        visibility_ms = queue.visibility_ms if settings.visibility_ms is None else settings.visibility_ms
        return max(visibility_ms, settings.timeout_ms + PUSH_MARGIN)

    @property
    def room(self) -> int:
        """How many messages may be in flight: one, a probe, while the target seems to be down."""
        wanted = min(self.settings.max_concurrency, PUSH_CONCURRENCY_MAX)
        return 1 if self.streak >= PUSH_STREAK_MAX else wanted


class NewSubscription(msgspec.Struct, frozen=True):
    """A subscription that is to exist: made, or changed to these settings if the queue has one for this URL."""

    queue: Queue
    settings: SubscriptionSettings
    once: Once | None = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """A subscription that is to end."""

    queue: Queue
    subscription_id: int
    once: Once | None = None


class Push(msgspec.Struct, frozen=True):
    """A message that a subscription has leased to post it."""

    subscription: Subscription
    queue: Queue
    message: Message


class PushResult(msgspec.Struct, frozen=True):
    """What became of one push, and what follows.

    `visible_at`: when the message may be had again after a nack or a release. `rest_until`: how long the target wants
    to be left alone; `gone`: for ever. `failed`: the target is no better for it. `dice` (0 <= dice < 1): the jitter.
    """

    push: Push
    verb: PushVerb
    visible_at: int
    started_at: int
    sent_at: int | None
    ended_at: int
    status: int | None = None
    body: bytes | None = None
    error: str | None = None
    rest_until: int = 0
    gone: bool = False
    failed: bool = False
    dice: float = 0.5


class Pushed(msgspec.Struct, frozen=True):
    """What the store made of results: their outcomes, in order; what others may want to know of the messages; dead
    letters by (project, queue); subscriptions that have ended."""

    outcomes: tuple[PushOutcome, ...]
    ready: tuple[tuple[int, int], ...]
    visible_at: int | None
    dead: tuple[tuple[str, str, int], ...]
    ended: tuple[Subscription, ...]


class LoggedPush(msgspec.Struct, frozen=True):
    """One ended push as it is kept. `lost`: its lease was over before its answer could be written."""

    id: int
    subscription_id: int
    message_id: int
    attempt: int
    started_at: int
    sent_at: int | None
    ended_at: int
    outcome: PushOutcome
    status: int | None
    body: bytes | None
    error: str | None
