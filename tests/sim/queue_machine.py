"""The real queues and those of the model, done the same to, by the dice; they must agree after every step."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainspring.core import dead_letters, ids, messages, queues
from mainspring.core.errors import Conflict, Invalid, LeaseLost, NotFound
from mainspring.core.idempotency import Answer, Once
from mainspring.core.limits import DAY, IDEMPOTENCY_WINDOW, MINUTE, SECOND
from mainspring.core.messages import MessageDraft
from mainspring.core.model import Page
from mainspring.core.queue_model import Edited, Message, Published, Settled, Verb
from mainspring.core.queues import QueueDraft
from mainspring.store.store import Store
from sim.queue_ledger import Ask, present, wrong
from sim.queue_model import Box, Item
from store.making import Clock
from store.queueing import Hand, payloads, replay

T = TypeVar("T")
STEPS_OF_TIME = (1, 999, SECOND, 5 * SECOND, 31 * SECOND, 5 * MINUTE, DAY // 2, DAY + 1)
VERBS: tuple[Verb, ...] = ("ack", "nack", "release", "extend")
HOLDERS = (7, 8)
_projects = count(1)

MOSTLY = 18
which = st.integers(0, 23)
rarely = st.sampled_from([False] * 2 + [True])
delays = st.sampled_from([0] * 6 + [1, 5, 40])
spans = st.sampled_from([1, 5, 30, 43_200])
# What may happen, how often as a rule, and with which particulars.
ACTIONS: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    "publish": (
        6,
        {
            "name": st.sampled_from(["a", "b", "f", "g", "f"]),
            "many": st.sampled_from([3, 2, 1, 5, 0]),
            "delay": delays,
            "priority": st.integers(0, 9),
            "group": st.sampled_from([None, "g1", "g2"]),
            "dedup": st.sampled_from([*[None] * 6, "d1", "d2"]),
            "key": st.sampled_from([*[None] * 6, "k1", "k2"]),
        },
    ),
    "consume": (
        5,
        {
            "at": which,
            "holder": st.sampled_from(HOLDERS),
            "limit": st.integers(1, 5),
            "span": spans,
            "wish": st.sampled_from("-----xy"),
        },
    ),
    "work": (
        3,
        {
            "holder": st.sampled_from(HOLDERS),
            "limit": st.integers(1, 5),
            "at": which,
            "requeue": st.booleans(),
            "ack": st.booleans(),
        },
    ),
    "settle": (
        6,
        {
            "verb": st.sampled_from(VERBS),
            "back": st.integers(0, 5),
            "many": st.integers(1, 3),
            "receipts": st.booleans(),
            "stranger": st.sampled_from([False, False, False, True]),
            "delay": delays,
            "requeue": st.sampled_from([True, True, False]),
        },
    ),
    "time_passes": (4, {"ms": st.sampled_from(STEPS_OF_TIME), "looked": st.sampled_from([True, True, False])}),
    "redrive": (
        2,
        {
            "at": which,
            "limit": st.sampled_from([None, None, 1, 2]),
            "by_id": st.booleans(),
            "ago": st.sampled_from([DAY, SECOND]),
        },
    ),
    "purge": (1, {"at": which, "now": rarely}),
    "delete": (1, {"at": which, "now": rarely}),
    "change": (
        2,
        {
            "at": which,
            "retries": st.sampled_from([0, 1, 5]),
            "days": st.sampled_from([1, 14]),
            "grave": st.sampled_from([False, False, True]),
            "priorities": st.booleans(),
        },
    ),
    "pause": (1, {"at": which, "paused": rarely}),
    "sweep": (1, {}),
}
happenings = st.sampled_from([name for name, (often, _) in ACTIONS.items() for _ in range(often)]).flatmap(
    lambda name: st.tuples(st.just(name), st.fixed_dictionaries(ACTIONS[name][1]))
)


class QueueMachine(RuleBasedStateMachine):
    """One life of a few queues. `runner`, `store` and `clock` are those of the test, `ask` looks
    behind them; each life has its own project."""

    runner: ClassVar[asyncio.Runner]
    store: ClassVar[Store]
    clock: ClassVar[Clock]
    ask: ClassVar[Ask]

    def __init__(self) -> None:
        super().__init__()
        project = f"life {next(_projects)}"
        self.hands = {holder: Hand(self.store, self.clock, holder=holder, project=project) for holder in HOLDERS}
        self.hand = self.hands[7]
        self.boxes: dict[str, Box] = {}
        self.leases: list[tuple[str, Message, int]] = []
        self.answers: dict[str, tuple[int, bytes, list[int]]] = {}
        self.wishes: dict[tuple[Box, int, str], tuple[int, int, list[int]]] = {}
        self.made = count()
        self.published = self.gone = 0
        self.before = self.run(present(type(self).ask))

    @classmethod
    def run(cls, work: Coroutine[Any, Any, T]) -> T:
        return cls.runner.run(work)

    @initialize()
    def begin(self) -> None:
        for name in ("f", "g"):
            self.create(name, fifo=True)

    @rule(happening=happenings)
    def happen(self, happening: tuple[str, dict[str, Any]]) -> None:
        name, particulars = happening
        getattr(self, name)(**particulars)

    def create(self, name: str, *, fifo: bool) -> None:
        self.run(self.hand.make(name, type="fifo" if fifo else "standard"))
        self.boxes[name] = Box(name, fifo=fifo, retention=14 * DAY, priorities=not fifo)

    def box(self, at: int, rather: Callable[[Box], Any] = lambda _: True) -> Box:
        """One of the queues, of those where there is something to do as a rule."""
        boxes = [self.boxes[name] for name in sorted(self.boxes)]
        wanted = [box for box in boxes if rather(box)] if at < MOSTLY else []
        return (wanted or boxes)[at % len(wanted or boxes)]

    def ensured(self, name: str, like: Box | None = None) -> Box:
        """The queue of this name, made as its use makes it: for dead letters like their source."""
        fifo = like is not None and like.fifo
        made = Box(name, fifo=fifo, retention=14 * DAY, last_resort=like is not None, holds_dead=like is not None)
        made.priorities = not fifo
        return self.boxes.setdefault(name, made)

    def grave(self, box: Box) -> Box | None:
        if box.named is not None or box.last_resort:
            return box.named
        return self.ensured(box.name + ".dlq", box)

    def letters(self, source: Box) -> list[Item]:
        return [one for box in self.boxes.values() for one in box.items if one.letter and one.letter.source is source]

    def publish(
        self, name: str, many: int, delay: int, priority: int, group: str | None, dedup: str | None, key: str | None
    ) -> None:
        now, body = self.clock(), json.dumps([name, many, delay, priority, group, dedup]).encode()
        contents = [b"%d" % next(self.made) for _ in range(many)]
        once = key and Once(self.hand.project, "publish", key, body, lambda done: Answer(json.dumps(done.ids).encode()))
        drafts = [MessageDraft(one, delay, priority, group, dedup) for one in contents]
        work = messages.publish(self.hand.core, now, self.hand.project, name, drafts, once or None, batch=True)
        box = self.ensured(name)
        since, said, standing = self.answers.get(key or "", (0, b"", []))
        if key is not None and since and now - since < IDEMPOTENCY_WINDOW:
            if said != body:
                with pytest.raises(Invalid) as refused:
                    self.run(work)
                assert refused.value.code == "IDEMPOTENCY_MISMATCH"
                return
            assert json.loads(replay(self.run(work))) == standing
            return
        done = self.run(work)
        assert isinstance(done, Published)
        rank = 9 - priority if box.priorities else 9
        real = list(done.ids)
        items = [
            (one, Item(one, content, rank, group, now + delay * SECOND if delay else 0), dedup)
            for one, content in zip(real, contents, strict=True)
        ]
        in_box = len(box.items)
        assert box.publish(now, items) == real
        assert len(set(real)) == many or dedup is not None
        self.published += len(box.items) - in_box
        if key is not None:
            self.answers[key] = (now, body, real)

    def consume(self, at: int, holder: int, limit: int, span: int, wish: str) -> None:
        box, now = self.box(at, Box.ready), self.clock()
        receive_id = None if wish == "-" else wish
        found = self.run(self.hands[holder].consume(limit, box.name, visibility_seconds=span, receive_id=receive_id))
        until, token, known = self.wishes.get((box, holder, wish), (0, 0, []))
        if receive_id is not None and until > now:
            same = [one for one in box.items if one.id in known and one.token == token and one.lease_until > now]
            assert sorted(one.id for one in found) == sorted(one.id for one in same)
            assert {one.token for one in found} <= {token}
            return
        expected = [] if box.paused else box.ready()[:limit]
        assert payloads(found) == [one.payload for one in expected], "what comes next"
        for one, item in zip(found, expected, strict=True):
            item.attempt += 1
            item.token, item.holder, item.leased_at, item.lease_until = one.token, holder, now, now + span * SECOND
            assert (one.id, one.group_id, one.rank) == (item.id, item.group, item.rank)
            assert (one.attempt, one.failures, one.lease_until) == (item.attempt, item.failures, item.lease_until)
            self.leases.append((box.name, one, holder))
        if receive_id is not None and found:
            self.wishes[box, holder, wish] = (now + span * SECOND, found[0].token, [one.id for one in found])

    def work(self, holder: int, limit: int, at: int, requeue: bool, ack: bool) -> None:
        """Consume and settle at once."""
        known = len(self.leases)
        self.consume(at, holder, limit, 30, "-")
        if (many := len(self.leases) - known) > 0:
            self.settle("ack" if ack else "nack", 0, many, True, False, 0, requeue)

    def settle(
        self, verb: Verb, back: int, many: int, receipts: bool, stranger: bool, delay: int, requeue: bool
    ) -> None:
        if not self.leases:
            return
        name, _, holder = self.leases[-1 - back % len(self.leases)]
        told = [one for place, one, who in self.leases if (place, who) == (name, holder)][-many:]
        told = list({one.id: one for one in told}.values())
        if (box := self.boxes.get(name)) is None:
            return
        now, caller = self.clock(), 15 - holder if stranger else holder
        seconds = max(1, delay) if verb == "extend" else delay
        done = self.run(
            self.hands[caller].settle(
                verb, *told if receipts else [one.id for one in told], queue=name, seconds=seconds, requeue=requeue
            )
        )
        for one, answer in zip(told, done, strict=True):
            item = box.held(one.id, one.token if receipts else None, caller, now)
            if not isinstance(item, Item):
                assert isinstance(answer, LeaseLost if item == "LEASE_EXPIRED" else NotFound), (item, answer)
                continue
            assert isinstance(answer, Settled), answer
            match verb:
                case "ack":
                    box.take_out(item, now)
                    self.gone += 1
                case "nack":
                    dead = box.fail(item, now, self.grave, now + seconds * SECOND, requeue=requeue)
                    assert answer.dead is dead
                case "release":
                    box.back(item, now + seconds * SECOND, now)
                case "extend":
                    assert answer.lease_until == box.extend(item, now + seconds * SECOND)

    def time_passes(self, ms: int, looked: bool) -> None:
        """`looked`: the tide has done what is due."""
        self.clock.advance(ms)
        if not looked:
            return
        self.run(self.hand.turn())
        now = self.clock()
        for box in list(self.boxes.values()):
            for one in [one for one in box.items if one.hidden and one.visible_at <= now]:
                one.hidden = False
            for one in [one for one in box.items if one.token is not None and one.lease_until <= now]:
                box.fail(one, now, self.grave)

    def redrive(self, at: int, limit: int | None, by_id: bool, ago: int) -> None:
        box, now = self.box(at, self.letters), self.clock()
        found = [one for one in box.items if one.letter] if box.holds_dead else self.letters(box)
        if by_id and found:
            found = found[-1:]
            pick: dict[str, Any] = {"message_id": ids.text("msg", found[0].id)}
        else:
            pick = {"limit": limit, "since": now - ago}
            found = [one for one in found if one.letter and one.letter.at >= now - ago]
        going = [one for one in found if one.letter and one.token is None and one.letter.source.alive]
        going.sort(key=lambda one: (one.letter.at if one.letter else 0, one.id))
        going = going[:limit] if "limit" in pick else going
        assert self.run(self.hand.redrive(box.name, **pick)) == len(going)
        for one in going:
            next(place for place in self.boxes.values() if one in place.items).take_out(one, now)
        for one in going:
            assert one.letter is not None
            source, one.letter = one.letter.source, None
            one.failures = one.visible_at = 0
            one.hidden, one.since = False, now
            source.add(one, now)

    def purge(self, at: int, now: bool) -> None:
        if not now:
            return
        box = self.box(at)
        assert self.run(self.hand.purge(box.name)) == len(box.items)
        self.gone += len(box.items)
        box.items.clear()

    def delete(self, at: int, now: bool) -> None:
        if not now:
            return
        box = self.box(at)
        work = queues.delete(self.hand.core, self.hand.project, box.name, None)
        if any(one.named is box for one in self.boxes.values()):
            with pytest.raises(Conflict) as refused:
                self.run(work)
            assert refused.value.code == "QUEUE_IN_USE"
            return
        done = self.run(work)
        assert isinstance(done, Edited)
        assert done.purged == len(box.items)
        self.gone += len(box.items)
        box.alive = False
        del self.boxes[box.name]
        if box.name in {"f", "g"}:
            self.create(box.name, fifo=True)

    def change(self, at: int, retries: int, days: int, grave: bool, priorities: bool) -> None:
        box = self.box(at)
        draft = QueueDraft(max_retries=retries, retention_days=days)
        if not box.fifo:
            draft = QueueDraft(max_retries=retries, retention_days=days, enable_priority=priorities)
            box.priorities = priorities
        if box.name in {"a", "f"}:
            name = {"a": "b", "f": "g"}[box.name] if grave else None
            draft = QueueDraft(draft.type, name, retries, days, enable_priority=draft.enable_priority)
            box.named = self.ensured(name, box) if name else None
        box.max_retries, box.retention = retries, days * DAY
        self.run(queues.update(self.hand.core, self.clock(), self.hand.project, box.name, draft, None))

    def pause(self, at: int, paused: bool) -> None:
        box = self.box(at)
        self.run(queues.pause(self.hand.core, self.clock(), self.hand.project, box.name, None, paused=paused))
        box.paused = paused

    def sweep(self) -> None:
        """Retention, and what purges have left behind."""

        async def work() -> None:
            while (await self.store.tides.expire(self.clock(), 0))[0]:
                pass
            await self.store.tides.prune(self.clock())

        self.run(work())
        for box in self.boxes.values():
            while gone := box.outlived(self.clock()):
                for one in gone:
                    box.take_out(one, self.clock())
                self.gone += len(gone)

    @invariant()
    def agree(self) -> None:
        self.run(self.store.beat(self.clock()))
        self.run(self._agree())

    async def _agree(self) -> None:
        core, project, ask = self.hand.core, self.hand.project, type(self).ask
        listed = await queues.page(core, project, Page(limit=500))
        assert sorted(one.name for one in listed) == sorted(self.boxes)
        for box in self.boxes.values():
            real = await self.hand.stats(box.name)
            told = (real.available, real.delayed, real.in_flight, real.dead, real.oldest_at)
            assert told == box.stats(self.clock(), len(self.letters(box))), box.name
            _, shown = await messages.peek(core, project, box.name, 500)
            assert [one.id for one in shown] == [one.id for one in box.ready()], box.name
            dead = [one for one in box.items if one.letter] if box.holds_dead else self.letters(box)
            _, letters = await dead_letters.page(core, project, box.name, Page(limit=500))
            expected = [
                (one.letter.at, one.id, one.letter.reason, one.letter.source.name) for one in dead if one.letter
            ]
            assert [(one.dead_at, one.id, one.reason, one.source) for one in letters] == sorted(expected)[::-1]
        assert await wrong(ask) == []
        assert await present(ask) - self.before == self.published - self.gone

    def teardown(self) -> None:
        """Leave nothing that a later life could meet."""

        async def work() -> None:
            # First those that name another for their dead letters, then the others.
            for name in sorted(self.boxes, key=lambda one: self.boxes[one].named is None):
                await queues.delete(self.hand.core, self.hand.project, name, None)

        self.run(work())
