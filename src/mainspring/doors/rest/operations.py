"""The table of operations: routes, reading, OpenAPI and the reference page are all made from it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mainspring.doors.rest import account, cron, occurrences, preview, runs, tasks
from mainspring.doors.rest import requests as given
from mainspring.doors.rest import results as made
from mainspring.doors.rest.answers import STATUS
from mainspring.doors.rest.calls import Handler

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a caller can do.

    `paths`: the canonical one, then every other under which clients know it; parameters stand at the end.
    `body`: read for every method but GET. `scope`: what the key must carry, None = any key; `public`: no key at all.
    `errors`: refusals beyond those that follow from the rest of the row (see `codes`). `needs`: the fields of which
    one per group has to be given. `idempotent`: the same key has one effect. `dev`: only on a development server.
    """

    id: str
    method: Method
    paths: tuple[str, ...]
    summary: str
    handler: Handler
    result: type[msgspec.Struct]
    body: type[Any] = given.Nothing
    query: type[Any] = given.Nothing
    scope: str | None = None
    public: bool = False
    errors: tuple[str, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    idempotent: bool = False
    dev: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order."""
        return tuple(part[1:-1] for part in self.paths[0].split("/") if part.startswith("{"))

    @property
    def reads_body(self) -> bool:
        return self.method != "GET"

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code with which it may refuse, by HTTP status."""
        found = {"INTERNAL", "UNAVAILABLE", "RATE_LIMITED", *self.errors}
        if not self.public:
            found.add("UNAUTHORIZED")
        if self.scope is not None:
            found.add("FORBIDDEN")
        if self.parameters or self.dev:
            found.add("NOT_FOUND")
        if self.reads_body:
            found |= {"INVALID_JSON", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "VALIDATION_FAILED"}
        if self.query is not given.Nothing:
            found.add("VALIDATION_FAILED")
        if self.idempotent:
            found.add("IDEMPOTENCY_MISMATCH")
        return tuple(sorted(found, key=lambda code: (STATUS[code], code)))


def _cron(path: str) -> tuple[str, ...]:
    return f"/v1/cron/{path}", f"/v1/scheduling/cron/{path}"


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="cron.create",
        method="POST",
        paths=(*_cron("create"), "/v1/scheduling/cron"),
        summary="Create a cron job: recurring by cron_expr, or once by run_at",
        handler=cron.create,
        body=given.CronFields,
        result=made.CronRecord,
        scope="cron:write",
        errors=("NEVER_FIRES", "TARGET_FORBIDDEN"),
        needs=(("cron_expr", "run_at"), ("task",)),
        idempotent=True,
    ),
    Operation(
        id="cron.list",
        method="GET",
        paths=(*_cron("list"), "/v1/scheduling/cron"),
        summary="List cron jobs, newest first",
        handler=cron.page,
        query=given.PageQuery,
        result=made.CronPage,
        scope="cron:read",
    ),
    Operation(
        id="cron.get",
        method="GET",
        paths=_cron("get/{id}"),
        summary="Get a cron job with its next run",
        handler=cron.get,
        result=made.CronRecord,
        scope="cron:read",
    ),
    Operation(
        id="cron.update",
        method="PATCH",
        paths=_cron("update/{id}"),
        summary="Change a cron job; what the body does not name stays",
        handler=cron.update,
        body=given.CronFields,
        result=made.CronRecord,
        scope="cron:write",
        errors=("CONFLICT", "NEVER_FIRES", "TARGET_FORBIDDEN"),
        idempotent=True,
    ),
    Operation(
        id="cron.delete",
        method="DELETE",
        paths=_cron("delete/{id}"),
        summary="Delete a cron job and stop its future runs",
        handler=cron.delete,
        result=made.CronDeleted,
        scope="cron:write",
        errors=("CONFLICT",),
        idempotent=True,
    ),
    Operation(
        id="cron.pause",
        method="POST",
        paths=_cron("pause/{id}"),
        summary="Pause a cron job; what is waiting is cancelled",
        handler=cron.pause,
        result=made.CronRecord,
        scope="cron:write",
        errors=("CONFLICT",),
        idempotent=True,
    ),
    Operation(
        id="cron.resume",
        method="POST",
        paths=_cron("resume/{id}"),
        summary="Resume a paused cron job; what passed meanwhile is not caught up",
        handler=cron.resume,
        result=made.CronRecord,
        scope="cron:write",
        errors=("CONFLICT",),
        idempotent=True,
    ),
    Operation(
        id="cron.trigger",
        method="POST",
        paths=_cron("trigger/{id}"),
        summary="Run a cron job now, also while it is paused",
        handler=cron.trigger,
        body=given.TriggerFields,
        result=made.RunRecord,
        scope="cron:write",
        errors=("CONFLICT",),
        idempotent=True,
    ),
    Operation(
        id="cron.runs.get",
        method="GET",
        paths=_cron("runs/get/{id}/{run_id}"),
        summary="Get a run of a cron job with its attempts",
        handler=runs.get,
        result=made.RunWithAttempts,
        scope="cron:read",
    ),
    Operation(
        id="cron.runs.list",
        method="GET",
        paths=_cron("runs/list/{id}"),
        summary="List the runs of a cron job, newest first",
        handler=runs.page_of_cron,
        query=given.RunsOfCronQuery,
        result=made.RunPage,
        scope="cron:read",
    ),
    Operation(
        id="cron.retention.get",
        method="GET",
        paths=_cron("retention/get/{id}"),
        summary="Get how long the runs of a cron job are kept",
        handler=cron.retention,
        result=made.Retention,
        scope="cron:read",
    ),
    Operation(
        id="cron.retention.set",
        method="PUT",
        paths=_cron("retention/set/{id}"),
        summary="Set how long the runs of a cron job are kept",
        handler=cron.set_retention,
        body=given.RetentionFields,
        result=made.Retention,
        scope="cron:write",
        errors=("CONFLICT",),
        idempotent=True,
    ),
    Operation(
        id="cron.preview",
        method="GET",
        paths=_cron("preview"),
        summary="Show what an expression means and when it fires next",
        handler=preview.preview,
        query=given.PreviewQuery,
        result=made.Preview,
        scope="cron:read",
        errors=("NEVER_FIRES",),
        needs=(("cron_expr",),),
    ),
    Operation(
        id="cron.occurrences.list",
        method="GET",
        paths=_cron("occurrences/list/{id}"),
        summary="List what became of every instant at which a cron job was due, newest first",
        handler=occurrences.page,
        query=given.PageQuery,
        result=made.OccurrencePage,
        scope="cron:read",
    ),
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
        id="account.keys.list",
        method="GET",
        paths=("/v1/account/keys/list",),
        summary="List keys without their secrets, newest first",
        handler=account.page,
        query=given.KeysQuery,
        result=made.KeyPage,
        scope="admin",
    ),
    Operation(
        id="account.keys.create",
        method="POST",
        paths=("/v1/account/keys/create",),
        summary="Create a key; its secret is shown in this answer only",
        handler=account.create,
        body=given.KeyFields,
        result=made.KeyCreated,
        scope="admin",
        needs=(("name",),),
        idempotent=True,
    ),
    Operation(
        id="account.keys.rotate",
        method="POST",
        paths=("/v1/account/keys/rotate/{id}",),
        summary="Create a key in place of another, which stays valid for grace_hours",
        handler=account.rotate,
        body=given.RotateFields,
        result=made.KeyCreated,
        scope="admin",
        idempotent=True,
    ),
    Operation(
        id="account.keys.revoke",
        method="DELETE",
        paths=("/v1/account/keys/revoke/{id}",),
        summary="Revoke a key at once",
        handler=account.revoke,
        body=given.RevokeFields,
        result=made.KeyRevoked,
        scope="admin",
        idempotent=True,
    ),
    Operation(
        id="account.balance",
        method="GET",
        paths=("/v1/account/balance",),
        summary="Tell that nothing costs anything",
        handler=account.balance,
        result=made.Balance,
    ),
    Operation(
        id="account.topup",
        method="POST",
        paths=("/v1/account/topup",),
        summary="Tell that nothing has to be paid",
        handler=account.topup,
        body=given.TopupFields,
        result=made.Topup,
        idempotent=True,
    ),
    Operation(
        id="activate",
        method="POST",
        paths=("/v1/activate",),
        summary="Get the key of a development server",
        handler=account.activate,
        body=given.ActivateFields,
        result=made.Activation,
        public=True,
        dev=True,
    ),
)
