"""One-shot tasks, and the runs of everything."""

# Written by tools/twins.py from nouns/task.py: edit that one, then run the tool.

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring_client import operations
from mainspring_client.async_nouns.noun import AsyncNoun
from mainspring_client.records import Expect, RunPage, RunRecord, RunWithAttempts, TaskPage, TaskRecord, TaskWithRun
from mainspring_client.values import HttpMethod, Json, RunState, SignatureStyle, TaskType, When


class AsyncTask(AsyncNoun):
    """One-shot tasks."""

    async def schedule(
        self,
        task: str | None = None,
        run_at: When | None = None,
        *,
        task_type: TaskType | None = None,
        method: HttpMethod | None = None,
        name: str | None = None,
        payload: Json = None,
        headers: Mapping[str, str] | None = None,
        retry: int | None = None,
        retry_delays: Sequence[float] | None = None,
        timeout_seconds: float | None = None,
        secret: str | None = None,
        signature_style: SignatureStyle | None = None,
        on_failure_webhook: str | None = None,
        expect: Expect | None = None,
        retention_days: int | None = None,
        at: When | None = None,
        url: str | None = None,
        task_url: str | None = None,
        http_url: str | None = None,
        retries: int | None = None,
        idempotency_key: str | None = None,
    ) -> TaskRecord:
        """Schedule one call at one instant."""
        return await self._call(operations.TASK_SCHEDULE, locals())

    async def get(self, task_id: str) -> TaskWithRun:
        """Get a task with its newest run."""
        return await self._call(operations.TASK_GET, locals())

    async def list(self, *, cursor: str | None = None, limit: int | None = None) -> TaskPage:
        """List tasks, newest first."""
        return await self._call(operations.TASK_LIST, locals())

    async def cancel(self, task_id: str, *, idempotency_key: str | None = None) -> TaskRecord:
        """Cancel a task that has not succeeded or failed yet."""
        return await self._call(operations.TASK_CANCEL, locals())


class AsyncRun(AsyncNoun):
    """The runs of cron jobs and tasks."""

    async def list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: RunState | None = None,
        since: When | None = None,
        cron_id: str | None = None,
        until: When | None = None,
    ) -> RunPage:
        """List the runs of all cron jobs and tasks, newest first."""
        return await self._call(operations.RUN_LIST, locals())

    async def get(self, run_id: str) -> RunWithAttempts:
        """Get a run of any cron job or task with its attempts."""
        return await self._call(operations.RUN_GET, locals())

    async def replay(self, run_id: str, *, idempotency_key: str | None = None) -> RunRecord:
        """Run a run that is over once more, with the target and the payload that it had."""
        return await self._call(operations.RUN_REPLAY, locals())
