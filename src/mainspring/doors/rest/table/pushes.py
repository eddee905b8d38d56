"""Push subscriptions."""

from __future__ import annotations

from mainspring.doors.rest import push_requests as given
from mainspring.doors.rest import push_results as made
from mainspring.doors.rest import pushes
from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.requests import PageQuery
from mainspring.doors.rest.table.queues import CONSUME, paths_of

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="queue.push_subscribe",
        method="POST",
        paths=paths_of("push_subscribe/{queue}"),
        summary="Post a queue's messages to a URL; the same URL again changes the subscription",
        handler=pushes.subscribe,
        body=given.PushFields,
        result=made.PushSubscription,
        scope=CONSUME,
        errors=("CONFLICT", "TARGET_FORBIDDEN"),
        needs=(("url",),),
        idempotent=True,
        audited=True,
    ),
    Operation(
        id="queue.push_list",
        method="GET",
        paths=paths_of("push_list/{queue}"),
        summary="List a queue's push subscriptions, newest first",
        handler=pushes.page,
        query=PageQuery,
        result=made.PushSubscriptionPage,
        scope=CONSUME,
    ),
    Operation(
        id="queue.push_unsubscribe",
        method="DELETE",
        paths=paths_of("push_unsubscribe/{queue}/{subscription_id}"),
        summary="End a push subscription; what is being posted ends by itself",
        handler=pushes.unsubscribe,
        result=made.PushUnsubscribed,
        scope=CONSUME,
        idempotent=True,
        audited=True,
    ),
    Operation(
        id="queue.push_deliveries",
        method="GET",
        paths=paths_of("push_deliveries/{queue}"),
        summary="List what was posted of a queue's messages, newest first",
        handler=pushes.log,
        query=given.PushesQuery,
        result=made.PushPage,
        scope=CONSUME,
    ),
)
