"""One-shot tasks, and the runs of everything."""

from __future__ import annotations

from mainspring.doors.rest import requests as given
from mainspring.doors.rest import results as made
from mainspring.doors.rest import runs, tasks
from mainspring.doors.rest.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="task.schedule",
        method="POST",
        paths=("/v1/scheduling/task/schedule",),
        summary="Schedule one call at one instant",
        handler=tasks.schedule,
        body=given.TaskFields,
        result=made.TaskRecord,
        scope="cron:write",
        errors=("TARGET_FORBIDDEN",),
        needs=(("run_at",), ("task",)),
        idempotent=True,
    ),
    Operation(
        id="task.get",
        method="GET",
        paths=("/v1/scheduling/task/get/{id}",),
        summary="Get a task with its newest run",
        handler=tasks.get,
        result=made.TaskWithRun,
        scope="cron:read",
    ),
    Operation(
        id="task.list",
        method="GET",
        paths=("/v1/scheduling/task/list",),
        summary="List tasks, newest first",
        handler=tasks.page,
        query=given.PageQuery,
        result=made.TaskPage,
        scope="cron:read",
    ),
    Operation(
        id="task.cancel",
        method="DELETE",
        paths=("/v1/scheduling/task/cancel/{id}",),
        summary="Cancel a task that has not succeeded or failed yet",
        handler=tasks.cancel,
        result=made.TaskRecord,
        scope="cron:write",
        errors=("CONFLICT",),
        idempotent=True,
    ),
    Operation(
        id="run.list",
        method="GET",
        paths=("/v1/scheduling/run/list",),
        summary="List the runs of all cron jobs and tasks, newest first",
        handler=runs.page,
        query=given.RunsQuery,
        result=made.RunPage,
        scope="cron:read",
        errors=("NOT_FOUND",),
    ),
    Operation(
        id="run.get",
        method="GET",
        paths=("/v1/scheduling/run/get/{id}",),
        summary="Get a run of any cron job or task with its attempts",
        handler=runs.get_by_id,
        result=made.RunWithAttempts,
        scope="cron:read",
    ),
    Operation(
        id="run.replay",
        method="POST",
        paths=("/v1/scheduling/run/replay/{id}",),
        summary="Run a run that is over once more, with the target and the payload that it had",
        handler=runs.replay,
        result=made.RunRecord,
        scope="cron:write",
        errors=("CONFLICT",),
        idempotent=True,
    ),
)
