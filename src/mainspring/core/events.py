"""What has happened, stated after it was committed. Logs and metrics subscribe; nothing here acts."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mainspring.core.model import RunState, Trigger
from mainspring.core.push_model import PushOutcome
from mainspring.core.queue_model import Verb


class Event(msgspec.Struct, frozen=True):
    """A fact about the service."""


class Fired(Event, frozen=True):
    """One visit of the scheduler: runs made, instants skipped or missed, schedules looked at."""

    schedules: int
    runs: int
    skipped: int
    missed: int


class ScheduleBroken(Event, frozen=True):
    """A schedule could not be planned; its instant is missed, and it is looked at again in a minute."""

    schedule_id: int
    error: str


class Claimed(Event, frozen=True):
    """Runs taken to be sent."""

    runs: int


class AttemptEnded(Event, frozen=True):
    """One attempt is over. `lateness_ms`: first byte minus due instant, for first attempts that were sent."""

    project: str
    run_id: int
    schedule_id: int | None
    trigger: Trigger
    attempt: int
    state: RunState
    status: int | None
    error: str | None
    lateness_ms: int | None
    duration_ms: int


class ResultFenced(Event, frozen=True):
    """A late result was refused: the run had been rescued or ended meanwhile."""

    run_id: int
    attempt: int


class Rescued(Event, frozen=True):
    """Runs taken back after their node went silent, or found running at start."""

    runs: int


class Pruned(Event, frozen=True):
    """History removed by retention."""

    runs: int
    gaps: int
    schedules: int


class MessagesPublished(Event, frozen=True):
    """Messages accepted by a queue."""

    messages: int


class MessagesReceived(Event, frozen=True):
    """Messages handed out."""

    messages: int


class MessagesSettled(Event, frozen=True):
    """Messages acknowledged, given back or kept longer, as `verb` says."""

    verb: Verb
    messages: int


class LeasesExpired(Event, frozen=True):
    """Leases that ended without a word from their holder."""

    messages: int


class QueueDeadLettered(Event, frozen=True):
    """Messages of a queue that have failed for good."""

    project: str
    queue: str
    messages: int


class PushEnded(Event, frozen=True):
    """One message was posted for a subscription, or was about to be."""

    project: str
    queue: str
    subscription_id: int
    message_id: int
    attempt: int
    outcome: PushOutcome
    status: int | None
    error: str | None
    duration_ms: int


class SubscriptionEnded(Event, frozen=True):
    """A subscription pushes no more."""

    project: str
    queue: str
    subscription_id: int
    reason: str


class ScriptPrinted(Event, frozen=True):
    """A line that a script wrote to its console; `level` is `debug`, `info`, `warning` or `error`."""

    script: str
    level: str
    text: str


class EndpointDisabled(Event, frozen=True):
    """An endpoint was switched off by what its target answered, or did not answer."""

    project: str
    endpoint_id: int
    reason: str


class Stopping(Event, frozen=True):
    """This process is on its way out: whoever holds a connection open for nothing in particular lets it go."""


class LoopFailed(Event, frozen=True):
    """A loop's step raised; it goes on after a pause."""

    loop: str
    error: str


Emit = Callable[[Event], None]


class Listeners:
    """Everybody who is told: some for good, some for a while."""

    def __init__(self, *always: Emit) -> None:
        self._hearing = list(always)

    def emit(self, event: Event) -> None:
        """Tell all of them."""
        for hear in self._hearing:
            hear(event)

    def listen(self, hear: Emit) -> Callable[[], None]:
        """From now on tell this one, too, until what is returned is called."""
        self._hearing = [*self._hearing, hear]

        def leave() -> None:
            self._hearing = [one for one in self._hearing if one is not hear]

        return leave
