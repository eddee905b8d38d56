"""Queues as they should be, in memory and without a thought for speed: what the real ones are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mainspring.core import ids
from mainspring.core.limits import DEDUP_WINDOW, LEASE_TOTAL_MAX

NEVER = 1 << 62


@dataclass
class Letter:
    """Why and since when a message is a dead letter, and whose."""

    source: Box
    at: int
    reason: str
    attempt: int
    failures: int


@dataclass
class Item:
    """A message. `token` is set while it is leased; `group` None: in no group; `since`: when it was redriven."""

    id: int
    payload: bytes
    rank: int
    group: str | None
    visible_at: int
    hidden: bool = False
    attempt: int = 0
    failures: int = 0
    token: int | None = None
    holder: int = 0
    leased_at: int = 0
    lease_until: int = 0
    letter: Letter | None = None
    since: int = 0


@dataclass(eq=False)
class Box:
    """A queue. `items` of a group are in the order in which they are to be handed out."""

    name: str
    fifo: bool = False
    max_retries: int = 5
    retention: int = 0
    visibility: int = 30_000
    priorities: bool = True
    named: Box | None = None
    last_resort: bool = False
    holds_dead: bool = False
    paused: bool = False
    alive: bool = True
    items: list[Item] = field(default_factory=list)
    dedup: dict[str, tuple[int, int]] = field(default_factory=dict)

    def first(self, item: Item) -> bool:
        """Whether nothing of its group is before it."""
        return not self.fifo or next(one for one in self.items if one.group == item.group) is item

    def ready(self) -> list[Item]:
        """What can be had, in order. `hidden`: somebody has still to see that its instant has come."""
        found = [one for one in self.items if one.token is None and not one.hidden and self.first(one)]
        return sorted(found, key=lambda one: (one.rank, one.id))

    def hide(self, item: Item, now: int) -> None:
        """Its instant is looked at when it waits at the head of its group."""
        item.hidden = item.visible_at > now and self.first(item)

    def add(self, item: Item, now: int) -> None:
        self.items.append(item)
        self.hide(item, now)

    def take_out(self, item: Item, now: int) -> None:
        """Remove it; the next of its group is looked at."""
        was_first = self.fifo and self.first(item)
        self.items.remove(item)
        if was_first and (following := [one for one in self.items if one.group == item.group]):
            self.hide(following[0], now)

    def publish(self, now: int, made: list[tuple[int, Item, str | None]]) -> list[int]:
        """The ids that stand; (id, message, deduplication id) each."""
        standing = []
        for message_id, item, dedup in made:
            known, since = self.dedup.get(dedup or "", (0, -NEVER))
            if dedup is not None and now - since < DEDUP_WINDOW:
                standing.append(known)
                continue
            if dedup is not None:
                self.dedup[dedup] = (message_id, now)
            standing.append(message_id)
            self.add(item, now)
        return standing

    def held(self, message_id: int, token: int | None, holder: int, now: int) -> Item | str:
        """The message if it is this caller's, else why not."""
        for one in self.items:
            if one.id == message_id:
                mine = one.token is not None and one.lease_until > now
                mine = mine and (one.token == token if token is not None else one.holder == holder)
                return one if mine else "LEASE_EXPIRED"
        return "NOT_FOUND"

    def extend(self, item: Item, until: int) -> int:
        item.lease_until = min(until, item.leased_at + LEASE_TOTAL_MAX)
        return item.lease_until

    def back(self, item: Item, visible_at: int, now: int) -> None:
        item.token, item.visible_at = None, visible_at
        self.hide(item, now)

    def fail(
        self, item: Item, now: int, grave: Callable[[Box], Box | None], visible_at: int = 0, *, requeue: bool = True
    ) -> bool:
        """Count a failure; whether it is a dead letter now."""
        item.failures += 1
        if (requeue and item.failures <= self.max_retries) or (into := grave(self)) is None:
            self.back(item, visible_at, now)
            return False
        item.letter = Letter(self, now, "max_retries" if requeue else "rejected", item.attempt, item.failures)
        self.take_out(item, now)
        item.token, item.visible_at, item.hidden, item.failures = None, 0, False, 0
        into.holds_dead = True
        into.add(item, now)
        return True

    def outlived(self, now: int) -> list[Item]:
        """What nobody holds and has been kept for too long; dead letters from the day they died."""
        before = now - self.retention
        gone = [one for one in self.ready() if one.letter is None and max(one.since, ids.made_at(one.id)) < before]
        return gone + [one for one in self.items if one.letter and one.token is None and one.letter.at < before]

    def stats(self, now: int, letters: int) -> tuple[int, int, int, int, int | None]:
        leased = sum(one.token is not None and one.lease_until > now for one in self.items)
        delayed = sum(one.token is None and one.visible_at > now for one in self.items)
        waiting = [one for one in self.items if one.token is None and not one.hidden and one.visible_at <= now]
        oldest = min((ids.made_at(one.id) for one in waiting), default=None)
        return len(self.items) - leased - delayed, delayed, leased, letters, oldest
