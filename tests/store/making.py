"""What tests of the store, the loops and the use cases are made of: a clock that they move, rows, and a whole core."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import msgspec

from mainspring.core import runs, timing
from mainspring.core.changes import Claim, ManualRun, NewKey, NewSchedule, Result
from mainspring.core.events import Event
from mainspring.core.idempotency import Answer, Once, Replay
from mainspring.core.limits import SECOND
from mainspring.core.model import Entry, Key, Page, Run, Schedule, Target
from mainspring.core.ports import Core, Outcome
from mainspring.core.seats import Seats
from mainspring.loops.bells import Bells
from mainspring.store.sqlite import Connection, SqliteDb
from mainspring.store.store import Store
from mainspring.store.vault import SealedVault

START = 1_763_629_200_000  # 2025-11-20T09:00:00Z
PROJECT = "default"
ORIGIN = "http://target.example:80"
LEASE = 30 * SECOND
ALL = Page(limit=500)

TARGET = Target(
    id=0,
    kind="http",
    address="http://target.example/hook",
    origin=ORIGIN,
    method="POST",
    payload=None,
    headers=None,
    secret=None,
    signature_style="body",
    timeout_ms=30_000,
    retry=3,
    retry_delays_ms=None,
    expect=None,
    on_failure=None,
)

SCHEDULE = Schedule(
    id=0,
    number=0,
    project=PROJECT,
    kind="cron",
    name="every minute",
    cron_expr="* * * * *",
    run_at=None,
    dialect="standard",
    timezone="UTC",
    anchor_at=START,
    overlap="allow",
    catchup="latest",
    catchup_window_ms=86_400_000,
    max_runs=None,
    retention_days=30,
    retention_runs=10_000,
    target_id=0,
    lane="http",
    origin=ORIGIN,
    version=1,
    created_at=START,
    updated_at=START,
)

KEY = Key(
    id=0,
    number=0,
    project=PROJECT,
    kind="key",
    name="a key",
    lookup=None,
    digest=b"digest",
    shown="…gest",
    scopes=("cron:read", "cron:write"),
    limits=None,
    valid_from=None,
    valid_until=None,
    created_at=START,
    last_used_at=None,
    revoked_at=None,
    bootstrap=False,
)


class Clock:
    """A clock that only the test moves."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, ms: int) -> int:
        self.now += ms
        return self.now


class AnyTarget:
    """A target check that lets every URL pass as it is."""

    def check(self, url: str, field: str) -> str:
        return url


class Wakes:
    """Counts the wake-ups that the core gives."""

    def __init__(self, bells: Bells | None = None) -> None:
        self.schedulers = 0
        self.dispatchers = 0
        self.subscribed = 0
        self.tides: list[int] = []
        self._bells = bells or Bells()

    def scheduler(self) -> None:
        self.schedulers += 1

    def dispatcher(self, *, hurry: bool = False) -> None:
        self.dispatchers += 1

    def messages(self, queue_id: int, count: int) -> None:
        self._bells.ring(queue_id, count)

    def tide(self, at: int) -> None:
        self.tides.append(at)

    def subscriptions(self) -> None:
        self.subscribed += 1


class Bench:
    """A core on a real store, with everything it said."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events: list[Event] = []
        self.bells = Bells()
        self.wakes = Wakes(self.bells)
        self.core = Core(
            store=store,
            vault=SealedVault("a secret key"),
            targets=AnyTarget(),
            wakeup=self.wakes,
            emit=self.events.append,
            arrivals=self.bells,
        )

    def said(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def driver(store: Store) -> Connection:
    """The connection of an embedded store itself, to look behind it."""
    assert isinstance(store.db, SqliteDb)
    return store.db.connection


def number(store: Store, question: str) -> int:
    """The one number that an SQL text asks for."""
    [(answer,)] = driver(store).execute(question)
    assert isinstance(answer, int)
    return answer


def schedule(**changes: Any) -> Schedule:
    """A schedule for a new row; `run_at` takes the place of the expression."""
    if "run_at" in changes:
        changes.setdefault("cron_expr", None)
    return msgspec.structs.replace(SCHEDULE, **changes)


def target(**changes: Any) -> Target:
    return msgspec.structs.replace(TARGET, **changes)


def new(
    made: Schedule = SCHEDULE, to: Target = TARGET, *, due: int | None = START, once: Once | None = None
) -> NewSchedule:
    """A schedule to be created, first due at `due`."""
    return NewSchedule(msgspec.structs.replace(made, origin=to.origin), to, due, once)


def new_key(digest: bytes = b"digest", once: Once | None = None, **changes: Any) -> NewKey:
    return NewKey(msgspec.structs.replace(KEY, digest=digest, **changes), once)


def manual(
    schedule_id: int, *, payload: bytes | None = None, once: Once | None = None, project: str = PROJECT
) -> ManualRun:
    return ManualRun(project, schedule_id, "manual", payload, once)


def once(key: str, body: bytes = b"body", *, operation: str = "cron.create", secret: bool = False) -> Once:
    """An idempotency key whose answer is the id of the thing, with a secret beside it if asked."""

    def answer(result: Entry | Key | Run) -> Answer:
        made = result.schedule.id if isinstance(result, Entry) else result.id
        return Answer(b"%d with its secret" % made, b"%d" % made) if secret else Answer(b"%d" % made)

    return Once(PROJECT, operation, key, body, answer)


async def create(
    store: Store, now: int, made: Schedule = SCHEDULE, to: Target = TARGET, *, due: int | None = None
) -> Entry:
    """One schedule in the store, due at `now` unless said otherwise."""
    [entry] = await store.schedules.create(now, [new(made, to, due=now if due is None else due)])
    assert isinstance(entry, Entry)
    return entry


async def entry_of(store: Store, made: Entry) -> Entry:
    """The schedule as it is now."""
    found = await store.schedules.get(made.schedule.project, made.schedule.kind, made.schedule.id)
    assert found is not None
    return found


async def runs_of(store: Store, made: Entry) -> list[Run]:
    """All runs of a schedule, oldest instant first."""
    found = await store.runs.page_of_schedule(made.schedule.id, None, 0, Page(limit=100_000))
    return found[::-1]


async def fire(store: Store, now: int) -> int:
    """One visit of the scheduler; how many runs it made."""
    return (await store.schedules.fire(now, timing.plan, 500)).runs


async def trigger(store: Store, now: int, made: Entry) -> Run:
    """One run by hand."""
    [run] = await store.runs.trigger(now, [manual(made.schedule.id, project=made.schedule.project)])
    assert isinstance(run, Run)
    return run


async def claim(store: Store, now: int, seats: Seats | None = None, *, node: int = 0) -> list[Claim]:
    """What a dispatcher with these seats (by default with all of them) takes."""
    return await store.runs.claim(now, lane="http", node=node, lease_until=now + LEASE, seats=seats or Seats())


def reply(now: int, status: int = 200, **more: object) -> Outcome:
    return msgspec.structs.replace(Outcome("reply", now, sent_at=now, status=status, body=b"said"), **more)


async def end(store: Store, now: int, claims: list[Claim], status: int = 200) -> list[Result]:
    """Finish claims with the answer of their target; the results that were refused."""
    targets = await store.runs.targets(list({claim.target_id for claim in claims}))
    results = [runs.after(claim, targets[claim.target_id], reply(now, status), 0.5) for claim in claims]
    return await store.runs.finish(now, results)


def replayed(result: object) -> bytes:
    """The stored answer that came back."""
    assert isinstance(result, Replay)
    return result.answer


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail, instead of hanging, when a piece of work without a suspension does not come to its end."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
