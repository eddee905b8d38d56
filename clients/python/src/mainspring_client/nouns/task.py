"""One-shot tasks, and the runs of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring_client import operations
from mainspring_client.nouns.noun import Noun
from mainspring_client.records import Expect, RunPage, RunRecord, RunWithAttempts, TaskPage, TaskRecord, TaskWithRun
from mainspring_client.values import HttpMethod, Json, RunState, SignatureStyle, TaskType, When


class Task(Noun):
    """One-shot tasks."""

    def schedule(
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
        return self._call(operations.TASK_SCHEDULE, locals())

    def get(self, task_id: str) -> TaskWithRun:
        """Get a task with its newest run."""
        return self._call(operations.TASK_GET, locals())

    def list(self, *, cursor: str | None = None, limit: int | None = None) -> TaskPage:
        """List tasks, newest first."""
        return self._call(operations.TASK_LIST, locals())

    def cancel(self, task_id: str, *, idempotency_key: str | None = None) -> TaskRecord:
        """Cancel a task that has not succeeded or failed yet."""
        return self._call(operations.TASK_CANCEL, locals())


class Run(Noun):
    """The runs of cron jobs and tasks."""

    def list(
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
        return self._call(operations.RUN_LIST, locals())

    def get(self, run_id: str) -> RunWithAttempts:
        """Get a run of any cron job or task with its attempts."""
        return self._call(operations.RUN_GET, locals())

    def replay(self, run_id: str, *, idempotency_key: str | None = None) -> RunRecord:
        """Run a run that is over once more, with the target and the payload that it had."""
        return self._call(operations.RUN_REPLAY, locals())
