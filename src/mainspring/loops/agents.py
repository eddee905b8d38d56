"""Hands agents their jobs: holds their sockets, claims from their lanes, says what became of each handing over.

A run in the lane of an agent ends when the agent has it, or when nobody was there to take it. What the agent makes of
it is in its task, which outlives node and run.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Iterable

import msgspec

from mainspring.core import runs
from mainspring.core.agents import task_token
from mainspring.core.agents_model import Delivery, Ended, Report, Task
from mainspring.core.agents_ports import AgentStream
from mainspring.core.changes import Result
from mainspring.core.crontab_results_model import NewResult
from mainspring.core.limits import DAY, HOUR, LEASE, RETENTION_DAYS_DEFAULT, SECOND
from mainspring.core.ports import Outcome, Store

BEAT = 5 * SECOND
SWEEP = 200
SEND_S = 5.0
LOOK_S = 0.2
SENT = "任务下发成功，Agent：[{uuid}]，relative_id：{number}"
NOT_SENT = "任务下发失败，Agent：[{uuid}]，错误：Unable to connect agent: Error sending task event: {why}"


class _There(msgspec.Struct, frozen=True):
    """An agent whose socket is here."""

    session: int
    stream: AgentStream


class Agents:
    """The agents of this node. `dice` gives so many random bytes, `wake` calls for a step; `node` is this node's
    number, which may change."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int],
        dice: Callable[[int], bytes],
        wake: Callable[[], None],
        *,
        node: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._dice = dice
        self._wake = wake
        self._node = node
        self._here: dict[str, _There] = {}
        self._gone: list[int] = []
        self._flying: set[asyncio.Task[None]] = set()
        self._settled: list[tuple[Delivery, bool]] = []
        self._reports: dict[tuple[str, str], Report] = {}
        self._static: dict[str, bytes] = {}
        self._waiting: dict[int, asyncio.Event] = {}
        self._beat_at = self._swept_at = self._pruned_at = self._flushed_at = 0

    # ------------------------------------------------------------------------------------------------- for the doors

    async def attach(self, uuid: str, stream: AgentStream) -> None:
        """From now on the agent's tasks go there; wherever they went before, no more. Raises `Unavailable`."""
        there = _There(int.from_bytes(self._dice(8)) >> 2, stream)
        before, self._here[uuid] = self._here.get(uuid), there
        if before is not None:
            before.stream.end()
        await self._store.attach_agent((uuid, there.session))
        self._wake()

    def detach(self, uuid: str, stream: AgentStream) -> None:
        """The stream is over."""
        there = self._here.get(uuid)
        if there is not None and there.stream is stream:
            del self._here[uuid]
            self._gone.append(there.session)
            self._wake()

    async def ended(self, item: Ended) -> bool:
        """Keep what came of a task; False when that is known already."""
        kept = await self._store.end_task(item)
        if (waiting := self._waiting.get(item.number)) is not None:
            waiting.set()
        return kept

    async def result_of(self, number: int, timeout_ms: int) -> Task | None:
        """The task once it has ended, or as it is after that time; None when nobody was there to take it."""
        until = self._clock() + timeout_ms
        waiting = self._waiting.setdefault(number, asyncio.Event())
        try:
            while True:
                task = await self._store.agents.task(number)
                left = (until - self._clock()) / 1000
                if task is None or task.ended_at is not None or left <= 0:
                    return task
                # The result may come in at another node.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waiting.wait(), min(LOOK_S, left))
        finally:
            self._waiting.pop(number, None)

    def report(self, item: Report) -> bool:
        """Keep a report, within a second; False when it is static and says what the last one said here."""
        if item.kind == "static":
            said = msgspec.json.decode(item.data)
            mark = hashlib.sha256(msgspec.json.encode({**said, "time": None}, order="sorted")).digest()
            if self._static.get(item.uuid) == mark:
                return False
            self._static[item.uuid] = mark
        self._reports[item.uuid, item.kind] = item
        return True

    async def flush(self) -> None:
        """Write down now what reports there are. Raises `Unavailable`."""
        if not self._reports:
            return
        items, self._reports = self._reports, {}
        try:
            await self._store.agents.keep_reports(self._clock(), list(items.values()))
        except BaseException:
            self._reports = items | self._reports
            raise

    # -------------------------------------------------------------------------------------------------- for the loop

    async def begin(self) -> None:
        """At the start: what was on the node of this number before is not."""
        await self._store.agents.forget(self._node())

    async def step(self, now: int) -> int:
        """Write down, confirm the sockets, hand over what is due, give up what nobody can take; ms until the next."""
        await self._write(now)
        await self._confirm(now)
        if not 0 <= now - self._flushed_at < SECOND:
            self._flushed_at = now
            await self.flush()
        more = bool(self._here) and await self._hand_over(now)
        if not 0 <= now - self._swept_at < SWEEP:
            self._swept_at = now
            lost = await self._store.agents.claim_lost(now, self._node(), now + LEASE)
            self._settled += [(one, False) for one in lost]
            await self._write(now)
        if not 0 <= now - self._pruned_at < HOUR:
            while await self._store.agents.prune(now - RETENTION_DAYS_DEFAULT * DAY):
                pass
            self._pruned_at = now
        return 0 if more else SECOND

    async def drain(self) -> None:
        """After the last step: finish handing over, write everything down, let the agents go."""
        if self._flying:
            await asyncio.wait(self._flying)
        await self._write(self._clock())
        await self.flush()
        await self._store.agents.forget(self._node())

    async def _confirm(self, now: int) -> None:
        """Say that these agents are here, every few seconds; let go of those that have gone to another node."""
        if self._gone:
            gone, self._gone = self._gone, []
            await self._store.agents.detach(self._node(), gone)
        if 0 <= now - self._beat_at < BEAT:
            return
        self._beat_at = now
        if asked := [(uuid, there.session) for uuid, there in self._here.items()]:
            still = await self._store.agents.beat(now, self._node(), asked)
            for uuid, session in asked:
                there = self._here.get(uuid)
                if uuid not in still and there is not None and there.session == session:
                    del self._here[uuid]
                    there.stream.end()

    async def _hand_over(self, now: int) -> bool:
        """Claim and send; whether there was anything."""
        found = await self._store.agents.claim(now, self._node(), now + LEASE, self._token)
        for one in found:
            task = asyncio.create_task(self._send(one))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)
        return bool(found)

    def _token(self) -> str:
        return task_token(self._dice(16))

    async def _send(self, one: Delivery) -> None:
        there = self._here.get(one.uuid)
        sent = one.done
        if there is not None and not one.done and one.number is not None:
            event = {"task_id": one.number, "task_token": one.token, "task_event_type": msgspec.Raw(one.task.encode())}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SEND_S):
                    sent = await there.stream.send(event)
        self._settled.append((one, sent))
        self._wake()

    async def _write(self, now: int) -> None:
        """Write down what became of handing over: on the crontab's record, on the run, on the task."""
        settled, self._settled = self._settled, []
        if not settled:
            return
        try:
            results = [made for one, sent in settled if (made := _recorded(one, sent, now)) is not None]
            await self._store.crontab_results.add(results)
            await self._store.agents.drop([one.claim.run_id for one, sent in settled if not sent])
            await self._store.runs.finish(now, await self._results(settled, now))
        except BaseException:
            self._settled = settled + self._settled
            raise

    async def _results(self, settled: Iterable[tuple[Delivery, bool]], now: int) -> list[Result]:
        wanted = sorted({one.claim.target_id for one, _ in settled})
        targets = await self._store.runs.targets(wanted)
        return [
            runs.after(one.claim, targets[one.claim.target_id], _outcome(one, sent, now), 0.5) for one, sent in settled
        ]


def _why(one: Delivery) -> str:
    return f"Agent {one.uuid} is not connected" if one.task else "the stored task cannot be read"


def _outcome(one: Delivery, sent: bool, now: int) -> Outcome:
    if not sent:
        # Not to be tried again: it is for now or not at all.
        return Outcome(kind="forbidden", ended_at=now, error=_why(one))
    body = msgspec.json.encode({"task_id": one.number})
    return Outcome(kind="reply", ended_at=now, sent_at=now, body=body)


def _recorded(one: Delivery, sent: bool, now: int) -> NewResult | None:
    if one.cron_id is None or one.cron_name is None:
        return None
    said = SENT.format(uuid=one.uuid, number=one.number) if sent else NOT_SENT.format(uuid=one.uuid, why=_why(one))
    number = one.number if sent else None
    return NewResult(one.claim.run_id, one.cron_id, one.cron_name, number, now, sent, said)
