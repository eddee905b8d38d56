"""Cron jobs, their runs and their ledger."""

# Written by tools/twins.py from nouns/cron.py: edit that one, then run the tool.

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring_client import operations
from mainspring_client.async_nouns.noun import AsyncNoun, Call
from mainspring_client.records import (
    CronDeleted,
    CronPage,
    CronRecord,
    Expect,
    OccurrencePage,
    Preview,
    Retention,
    RunPage,
    RunRecord,
    RunWithAttempts,
)
from mainspring_client.values import (
    Catchup,
    Dialect,
    HttpMethod,
    Json,
    Overlap,
    RunState,
    SignatureStyle,
    TaskType,
    When,
)


class AsyncCronRuns(AsyncNoun):
    """The runs of a cron job."""

    async def get(self, cron_id: str, run_id: str) -> RunWithAttempts:
        """Get a run of a cron job with its attempts."""
        return await self._call(operations.CRON_RUNS_GET, locals())

    async def list(
        self,
        cron_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: RunState | None = None,
        since: When | None = None,
    ) -> RunPage:
        """List the runs of a cron job, newest first."""
        return await self._call(operations.CRON_RUNS_LIST, locals())


class AsyncCronRetention(AsyncNoun):
    """How long the runs of a cron job are kept."""

    async def get(self, cron_id: str) -> Retention:
        """Get how long the runs of a cron job are kept."""
        return await self._call(operations.CRON_RETENTION_GET, locals())

    async def set(
        self,
        cron_id: str,
        *,
        retention_days: int | None = None,
        retention_runs: int | None = None,
        idempotency_key: str | None = None,
    ) -> Retention:
        """Set how long the runs of a cron job are kept."""
        return await self._call(operations.CRON_RETENTION_SET, locals())


class AsyncCronOccurrences(AsyncNoun):
    """What became of every instant at which a cron job was due."""

    async def list(self, cron_id: str, *, cursor: str | None = None, limit: int | None = None) -> OccurrencePage:
        """List what became of every instant at which a cron job was due, newest first."""
        return await self._call(operations.CRON_OCCURRENCES_LIST, locals())


class AsyncCron(AsyncNoun):
    """Cron jobs."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.runs = AsyncCronRuns(call)
        self.retention = AsyncCronRetention(call)
        self.occurrences = AsyncCronOccurrences(call)

    async def create(
        self,
        cron_expr: str | None = None,
        task: str | None = None,
        *,
        run_at: When | None = None,
        task_type: TaskType | None = None,
        method: HttpMethod | None = None,
        name: str | None = None,
        timezone: str | None = None,
        dialect: Dialect | None = None,
        retry: int | None = None,
        retry_delays: Sequence[float] | None = None,
        timeout_seconds: float | None = None,
        overlap_policy: Overlap | None = None,
        catchup: Catchup | None = None,
        catchup_window_seconds: int | None = None,
        max_runs: int | None = None,
        payload: Json = None,
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        signature_style: SignatureStyle | None = None,
        on_failure_webhook: str | None = None,
        expect: Expect | None = None,
        retention_days: int | None = None,
        retention_runs: int | None = None,
        schedule: str | None = None,
        at: When | None = None,
        url: str | None = None,
        task_url: str | None = None,
        http_url: str | None = None,
        retries: int | None = None,
        idempotency_key: str | None = None,
    ) -> CronRecord:
        """Create a cron job: recurring by cron_expr, or once by run_at."""
        return await self._call(operations.CRON_CREATE, locals())

    async def list(self, *, cursor: str | None = None, limit: int | None = None) -> CronPage:
        """List cron jobs, newest first."""
        return await self._call(operations.CRON_LIST, locals())

    async def get(self, cron_id: str) -> CronRecord:
        """Get a cron job with its next run."""
        return await self._call(operations.CRON_GET, locals())

    async def update(
        self,
        cron_id: str,
        *,
        cron_expr: str | None = None,
        run_at: When | None = None,
        task: str | None = None,
        task_type: TaskType | None = None,
        method: HttpMethod | None = None,
        name: str | None = None,
        timezone: str | None = None,
        dialect: Dialect | None = None,
        retry: int | None = None,
        retry_delays: Sequence[float] | None = None,
        timeout_seconds: float | None = None,
        overlap_policy: Overlap | None = None,
        catchup: Catchup | None = None,
        catchup_window_seconds: int | None = None,
        max_runs: int | None = None,
        payload: Json = None,
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        signature_style: SignatureStyle | None = None,
        on_failure_webhook: str | None = None,
        expect: Expect | None = None,
        retention_days: int | None = None,
        retention_runs: int | None = None,
        schedule: str | None = None,
        at: When | None = None,
        url: str | None = None,
        task_url: str | None = None,
        http_url: str | None = None,
        retries: int | None = None,
        idempotency_key: str | None = None,
    ) -> CronRecord:
        """Change a cron job; what the body does not name stays."""
        return await self._call(operations.CRON_UPDATE, locals())

    async def delete(self, cron_id: str, *, idempotency_key: str | None = None) -> CronDeleted:
        """Delete a cron job and stop its future runs."""
        return await self._call(operations.CRON_DELETE, locals())

    async def pause(self, cron_id: str, *, idempotency_key: str | None = None) -> CronRecord:
        """Pause a cron job; what is waiting is cancelled."""
        return await self._call(operations.CRON_PAUSE, locals())

    async def resume(self, cron_id: str, *, idempotency_key: str | None = None) -> CronRecord:
        """Resume a paused cron job; what passed meanwhile is not caught up."""
        return await self._call(operations.CRON_RESUME, locals())

    async def trigger(self, cron_id: str, *, payload: Json = None, idempotency_key: str | None = None) -> RunRecord:
        """Run a cron job now, also while it is paused."""
        return await self._call(operations.CRON_TRIGGER, locals())

    async def preview(
        self,
        cron_expr: str,
        *,
        timezone: str | None = None,
        dialect: Dialect | None = None,
        count: int | None = None,
        after: When | None = None,
    ) -> Preview:
        """Show what an expression means and when it fires next."""
        return await self._call(operations.CRON_PREVIEW, locals())
