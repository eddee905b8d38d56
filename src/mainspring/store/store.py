"""The store: its slices by noun, and the folds through which concurrent callers share a transaction and a sync."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.core.agents_model import Ended
from mainspring.core.changes import Change, ManualRun, NewKey, NewSchedule, Stale
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KeySource
from mainspring.core.limits import MINUTE
from mainspring.core.model import Entry, Key, Run, Target
from mainspring.core.ports import Wakeup
from mainspring.core.push_model import NewSubscription, Subscription, Unsubscribe
from mainspring.core.queue_model import (
    Edited,
    Message,
    NewQueue,
    Publish,
    Published,
    Queue,
    QueueEdit,
    Receive,
    Redrive,
    Redriven,
    Settle,
    Settlement,
)
from mainspring.store.agents import AgentStore
from mainspring.store.audit import AuditStore
from mainspring.store.burials import DeadLetterStore
from mainspring.store.credentials import CredentialStore
from mainspring.store.crontabs import CrontabResultStore, CrontabStore
from mainspring.store.db import Db
from mainspring.store.fold import Fold
from mainspring.store.horizon import Horizon
from mainspring.store.kv import KvStore
from mainspring.store.messages import MessageStore
from mainspring.store.migrate import migrate, pending
from mainspring.store.moved import refuse_moved
from mainspring.store.once import recall
from mainspring.store.publishing import PublishStore, size_of
from mainspring.store.pushes import PushStore
from mainspring.store.queues import QueueStore
from mainspring.store.runs import RunStore
from mainspring.store.samples import SampleStore
from mainspring.store.schedules import ScheduleStore
from mainspring.store.script_results import ScriptResultStore
from mainspring.store.scripts import ScriptStore
from mainspring.store.sqlite import SqliteDb
from mainspring.store.subscriptions import SubscriptionStore
from mainspring.store.tides import TideStore
from mainspring.store.upkeep import UpkeepStore
from mainspring.store.views.views import ViewStore
from mainspring.store.waiting import WRITERS
from mainspring.store.webhooks_store import WebhookStore

if TYPE_CHECKING:
    from mainspring.store.membership import Membership, Vitals


class Store:
    """Everything that lasts. `clock` gives `now`, for everybody: among nodes it is the database's. `membership`: this
    process is one node of many; without it the store is this process's alone."""

    def __init__(self, db: Db, keys: KeySource, clock: Callable[[], int], membership: Membership | None = None) -> None:
        self.db = db
        self.clock = clock
        self._keys = keys
        self._membership = membership
        horizon = Horizon()
        self.webhooks = WebhookStore(db, keys, horizon, clock)
        announcer = self.webhooks.announcer
        self.schedules = ScheduleStore(db, keys, horizon, announcer)
        self.runs = RunStore(db, keys, horizon, self.webhooks.gates, announcer)
        self.credentials = CredentialStore(db, keys)
        self.crontabs = CrontabStore(db)
        self.crontab_results = CrontabResultStore(db)
        self.kv = KvStore(db)
        self.agents = AgentStore(db, keys, horizon)
        self.scripts = ScriptStore(db, keys)
        self.script_results = ScriptResultStore(db, keys, horizon)
        self.audit = AuditStore(db)
        self.upkeep = UpkeepStore(db)
        self.views = ViewStore(db)
        self.samples = SampleStore(db, lambda: self.node)
        self.queues = QueueStore(db, keys, announcer)
        self.publishing = PublishStore(db, keys, self.queues, self._writer)
        self.messages = MessageStore(db, keys, self.queues, self._writer)
        self.dead_letters = DeadLetterStore(db, keys, self.queues, self._writer)
        self.tides = TideStore(db, keys, self.queues, self._writer)
        self.subscriptions = SubscriptionStore(db, keys, self.queues)
        self.pushes = PushStore(db, keys, self.messages)
        self.create_schedule: Fold[NewSchedule, Entry | Replay] = Fold(
            lambda items: self.schedules.create(clock(), items), lambda item: _size(item.target)
        )
        self.change_schedule: Fold[Change, Entry | Replay | Stale] = Fold(
            lambda items: self.schedules.change(clock(), items), lambda item: _size(item.target)
        )
        self.trigger_run: Fold[ManualRun, Run | Replay] = Fold(
            lambda items: self.runs.trigger(clock(), items), lambda item: len(item.payload or b"")
        )
        self.create_key: Fold[NewKey, Key | Replay] = Fold(lambda items: self.credentials.create(clock(), items))
        self.create_queue: Fold[NewQueue, Queue | Replay] = Fold(lambda items: self.queues.create(clock(), items))
        self.edit_queue: Fold[QueueEdit, Edited | Replay | Stale] = Fold(lambda items: self.queues.edit(clock(), items))
        self.publish: Fold[Publish, Published | Replay | Stale] = Fold(
            lambda items: self.publishing.publish(clock(), items), lambda item: size_of(item.messages)
        )
        self.receive: Fold[Receive, list[Message] | Stale] = Fold(lambda items: self.messages.receive(clock(), items))
        self.settle: Fold[Settle, Settlement | Replay | Stale] = Fold(
            lambda items: self.messages.settle(clock(), items)
        )
        self.attach_agent: Fold[tuple[str, int], None] = Fold(
            lambda items: self.agents.attach(clock(), self.node, items)
        )
        self.end_task: Fold[Ended, bool] = Fold(self.agents.end, lambda item: len(item.result or ""))
        self.redrive: Fold[Redrive, Redriven | Replay] = Fold(lambda items: self.dead_letters.redrive(clock(), items))
        self.subscribe: Fold[NewSubscription, Subscription | Replay | Stale] = Fold(
            lambda items: self.subscriptions.subscribe(clock(), items)
        )
        self.unsubscribe: Fold[Unsubscribe, Subscription | Replay] = Fold(
            lambda items: self.subscriptions.unsubscribe(clock(), items)
        )

    def _writer(self) -> int:
        return self.node * WRITERS

    async def recall(self, now: int, project: str, operation: str, key: str, body_hash: bytes) -> Replay | None:
        """The answer kept for an idempotency key, None for a new one. Raises `Invalid` for another body."""
        return await recall(self.db, now, (project, operation, key), body_hash)

    @property
    def alone(self) -> bool:
        """Whether no other process can be using the store: what was under way when it was opened is nobody's."""
        return self._membership is None

    @property
    def node(self) -> int:
        """This node's number, as it was when the store was opened."""
        return 0 if self._membership is None else self._membership.lease.number

    def wakeups(self, local: Wakeup) -> Wakeup:
        """Wake-ups that reach the loops of this process and of every other node."""
        return local if self._membership is None else self._membership.shared(local)

    async def beat(self, now: int) -> int:
        """A node's sign of life, to be given regularly; ms until the next one is due. Raises `Unavailable`."""
        return MINUTE if self._membership is None else await self._membership.beat(self._keys)

    def problem(self) -> str | None:
        """Why this node should be given no work although the database answers, if there is a reason."""
        return None if self._membership is None else self._membership.problem()

    def vitals(self) -> Vitals | None:
        """How this node is doing among the others, if there are any."""
        return None if self._membership is None else self._membership.vitals()

    async def close(self) -> None:
        if self._membership is not None:
            await self._membership.leave()
        await self.db.close()


async def open_sqlite(
    path: Path,
    clock: Callable[[], int],
    *,
    say: Callable[[str], None] = lambda _: None,
    vfs: str | None = None,
    sync_aside: bool = False,
) -> Store:
    """Open (or make) the embedded store at `path` and bring its schema up to date.

    `sync_aside`: commits are made durable by a helper process, for disks that take long to sync. Raises `Conflict` when
    another process uses the store or when it was made by a newer version.
    """
    db = SqliteDb(path, vfs=vfs)
    try:
        if pending(db.connection):
            # Aside, for it may take long, and the process is to answer meanwhile that it is alive.
            await asyncio.to_thread(migrate, db.connection, path, clock(), say)
        await refuse_moved(db, path)
        await asyncio.to_thread(db.recall_groups)
        [(largest,)] = await db.read("largest_key")
        if sync_aside:
            db.sync_aside()
    except BaseException:
        await db.close()
        raise
    return Store(db, KeySource(floor=largest or 0), clock)


def _size(target: Target | None) -> int:
    return 0 if target is None else len(target.payload or b"") + len(target.headers or b"")
