"""What agents need of the store, and of whoever holds their sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mainspring.core.agents_model import AskedTasks, Delivery, Ended, NewTask, Report, ReportKind, Task


class AgentSlice(Protocol):
    """Agents and their tasks, as `store/agents.py` keeps them."""

    async def is_there(self, now: int, uuid: str) -> bool: ...

    async def beat(self, now: int, node: int, found: Sequence[tuple[str, int]]) -> set[str]: ...

    async def detach(self, node: int, sessions: Sequence[int]) -> None: ...

    async def forget(self, node: int) -> None: ...

    async def keep_reports(self, now: int, items: Sequence[Report]) -> None: ...

    async def reports(self, kind: ReportKind, uuids: Sequence[str]) -> dict[str, tuple[int, str]]: ...

    async def create(self, now: int, item: NewTask) -> int: ...

    async def claim(self, now: int, node: int, lease_until: int, token: Callable[[], str]) -> list[Delivery]: ...

    async def claim_lost(self, now: int, node: int, lease_until: int) -> list[Delivery]: ...

    async def drop(self, run_ids: Sequence[int]) -> None: ...

    async def task(self, number: int) -> Task | None: ...

    async def page(self, asked: AskedTasks) -> list[Task]: ...

    async def delete(self, asked: AskedTasks) -> int: ...

    async def newest(self, uuid: str) -> int | None: ...

    async def trim(self, uuid: str, before: int) -> int: ...

    async def prune(self, before: int) -> int: ...


class AgentStream(Protocol):
    """Where tasks for one agent are sent to."""

    async def send(self, item: object) -> bool:
        """False when the agent is not there any more."""
        ...

    def end(self) -> None:
        """No more tasks."""
        ...


class AgentHub(Protocol):
    """The sockets of agents on this node, and what comes over them."""

    async def attach(self, uuid: str, stream: AgentStream) -> None:
        """From now on the agent's tasks go there; wherever they went before, no more."""
        ...

    def detach(self, uuid: str, stream: AgentStream) -> None:
        """The stream is over."""
        ...

    async def ended(self, item: Ended) -> bool:
        """Keep what came of a task; False when that is known already."""
        ...

    async def result_of(self, number: int, timeout_ms: int) -> Task | None:
        """The task once it has ended, or as it is after that time; None when nobody was there to take it."""
        ...

    def report(self, item: Report) -> bool:
        """Keep a report, soon; False when it says what the last one said."""
        ...

    async def flush(self) -> None:
        """Write down now what reports there are."""
        ...
