"""The table of operations: routes, reading, OpenAPI and the reference page are all made from it."""

from __future__ import annotations

from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.table import account, cron, discovery, pushes, queues, tasks, webhooks

OPERATIONS: tuple[Operation, ...] = (
    *cron.OPERATIONS,
    *tasks.OPERATIONS,
    *queues.OPERATIONS,
    *pushes.OPERATIONS,
    *webhooks.OPERATIONS,
    *account.OPERATIONS,
    *discovery.operations(lambda: OPERATIONS),
)
