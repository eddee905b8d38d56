"""The table of operations: ids, methods, paths, results."""

from __future__ import annotations

from typing import Any

from mainspring_client.operation import Operation
from mainspring_client.queue_records import (
    Acked,
    AckedBatch,
    DeadLetterPage,
    Extended,
    Messages,
    Nacked,
    Published,
    PublishedBatch,
    PushPage,
    PushSubscription,
    PushSubscriptionPage,
    PushUnsubscribed,
    QueueCounts,
    QueueDeleted,
    QueuePage,
    QueuePurged,
    QueueRecord,
    Redriven,
    Released,
)
from mainspring_client.records import (
    Activation,
    AuditPage,
    Balance,
    Capability,
    CronDeleted,
    CronPage,
    CronRecord,
    Discovered,
    KeyCreated,
    KeyPage,
    KeyRevoked,
    OccurrencePage,
    Preview,
    Retention,
    RunPage,
    RunRecord,
    RunWithAttempts,
    TaskPage,
    TaskRecord,
    TaskWithRun,
    Topup,
)
from mainspring_client.webhook_records import (
    DeliveryAccepted,
    DeliveryAttempts,
    DeliveryPage,
    DeliveryWithAttempts,
    EndpointDeleted,
    EndpointDeliveries,
    EndpointPage,
    EndpointRecord,
    EndpointWithSecret,
    EventEmitted,
    Replays,
)

CRON_CREATE: Operation[CronRecord] = Operation("cron.create", "POST", "/v1/cron/create", idempotent=True)
CRON_LIST: Operation[CronPage] = Operation("cron.list", "GET", "/v1/cron/list")
CRON_GET: Operation[CronRecord] = Operation("cron.get", "GET", "/v1/cron/get/{cron_id}")
CRON_UPDATE: Operation[CronRecord] = Operation("cron.update", "PATCH", "/v1/cron/update/{cron_id}", idempotent=True)
CRON_DELETE: Operation[CronDeleted] = Operation("cron.delete", "DELETE", "/v1/cron/delete/{cron_id}", idempotent=True)
CRON_PAUSE: Operation[CronRecord] = Operation("cron.pause", "POST", "/v1/cron/pause/{cron_id}", idempotent=True)
CRON_RESUME: Operation[CronRecord] = Operation("cron.resume", "POST", "/v1/cron/resume/{cron_id}", idempotent=True)
CRON_TRIGGER: Operation[RunRecord] = Operation("cron.trigger", "POST", "/v1/cron/trigger/{cron_id}", idempotent=True)
CRON_RUNS_GET: Operation[RunWithAttempts] = Operation("cron.runs.get", "GET", "/v1/cron/runs/get/{cron_id}/{run_id}")
CRON_RUNS_LIST: Operation[RunPage] = Operation("cron.runs.list", "GET", "/v1/cron/runs/list/{cron_id}")
CRON_RETENTION_GET: Operation[Retention] = Operation("cron.retention.get", "GET", "/v1/cron/retention/get/{cron_id}")
CRON_RETENTION_SET: Operation[Retention] = Operation(
    "cron.retention.set", "PUT", "/v1/cron/retention/set/{cron_id}", idempotent=True
)
CRON_PREVIEW: Operation[Preview] = Operation("cron.preview", "GET", "/v1/cron/preview")
CRON_OCCURRENCES_LIST: Operation[OccurrencePage] = Operation(
    "cron.occurrences.list", "GET", "/v1/cron/occurrences/list/{cron_id}"
)
TASK_SCHEDULE: Operation[TaskRecord] = Operation(
    "task.schedule", "POST", "/v1/scheduling/task/schedule", idempotent=True
)
TASK_GET: Operation[TaskWithRun] = Operation("task.get", "GET", "/v1/scheduling/task/get/{task_id}")
TASK_LIST: Operation[TaskPage] = Operation("task.list", "GET", "/v1/scheduling/task/list")
TASK_CANCEL: Operation[TaskRecord] = Operation(
    "task.cancel", "DELETE", "/v1/scheduling/task/cancel/{task_id}", idempotent=True
)
RUN_LIST: Operation[RunPage] = Operation("run.list", "GET", "/v1/scheduling/run/list")
RUN_GET: Operation[RunWithAttempts] = Operation("run.get", "GET", "/v1/scheduling/run/get/{run_id}")
RUN_REPLAY: Operation[RunRecord] = Operation(
    "run.replay", "POST", "/v1/scheduling/run/replay/{run_id}", idempotent=True
)
QUEUE_CREATE: Operation[QueueRecord] = Operation("queue.create", "POST", "/v1/queue/create", idempotent=True)
QUEUE_LIST: Operation[QueuePage] = Operation("queue.list", "GET", "/v1/queue/list")
QUEUE_GET: Operation[QueueRecord] = Operation("queue.get", "GET", "/v1/queue/get/{queue}")
QUEUE_UPDATE: Operation[QueueRecord] = Operation("queue.update", "PATCH", "/v1/queue/update/{queue}", idempotent=True)
QUEUE_DELETE: Operation[QueueDeleted] = Operation("queue.delete", "DELETE", "/v1/queue/delete/{queue}", idempotent=True)
QUEUE_PURGE: Operation[QueuePurged] = Operation("queue.purge", "POST", "/v1/queue/purge/{queue}", idempotent=True)
QUEUE_PAUSE: Operation[QueueRecord] = Operation("queue.pause", "POST", "/v1/queue/pause/{queue}", idempotent=True)
QUEUE_RESUME: Operation[QueueRecord] = Operation("queue.resume", "POST", "/v1/queue/resume/{queue}", idempotent=True)
QUEUE_STATS: Operation[QueueCounts] = Operation("queue.stats", "GET", "/v1/queue/stats/{queue}")
QUEUE_PUBLISH: Operation[Published] = Operation(
    "queue.publish", "POST", "/v1/queue/publish", idempotent=True, nullable=("payload",)
)
QUEUE_PUBLISH_BATCH: Operation[PublishedBatch] = Operation(
    "queue.publish_batch", "POST", "/v1/queue/publish_batch", idempotent=True
)
QUEUE_CONSUME: Operation[Messages] = Operation(
    "queue.consume", "POST", "/v1/queue/consume", attempt_id="receive_attempt_id", waits="wait_seconds"
)
QUEUE_PEEK: Operation[Messages] = Operation("queue.peek", "GET", "/v1/queue/peek/{queue}")
QUEUE_ACK: Operation[Acked] = Operation("queue.ack", "POST", "/v1/queue/ack", idempotent=True)
QUEUE_ACK_BATCH: Operation[AckedBatch] = Operation("queue.ack_batch", "POST", "/v1/queue/ack_batch", idempotent=True)
QUEUE_NACK: Operation[Nacked] = Operation("queue.nack", "POST", "/v1/queue/nack", idempotent=True)
QUEUE_RELEASE: Operation[Released] = Operation("queue.release", "POST", "/v1/queue/release", idempotent=True)
QUEUE_EXTEND: Operation[Extended] = Operation("queue.extend", "POST", "/v1/queue/extend", idempotent=True)
QUEUE_DLQ_LIST: Operation[DeadLetterPage] = Operation("queue.dlq.list", "GET", "/v1/queue/dlq/list/{queue}")
QUEUE_DLQ_REDRIVE: Operation[Redriven] = Operation(
    "queue.dlq.redrive", "POST", "/v1/queue/dlq/redrive/{queue}", idempotent=True
)
QUEUE_PUSH_SUBSCRIBE: Operation[PushSubscription] = Operation(
    "queue.push_subscribe", "POST", "/v1/queue/push_subscribe/{queue}", idempotent=True
)
QUEUE_PUSH_LIST: Operation[PushSubscriptionPage] = Operation("queue.push_list", "GET", "/v1/queue/push_list/{queue}")
QUEUE_PUSH_UNSUBSCRIBE: Operation[PushUnsubscribed] = Operation(
    "queue.push_unsubscribe", "DELETE", "/v1/queue/push_unsubscribe/{queue}/{subscription_id}", idempotent=True
)
QUEUE_PUSH_DELIVERIES: Operation[PushPage] = Operation(
    "queue.push_deliveries", "GET", "/v1/queue/push_deliveries/{queue}"
)
ACCOUNT_KEYS_LIST: Operation[KeyPage] = Operation("account.keys.list", "GET", "/v1/account/keys/list")
ACCOUNT_KEYS_CREATE: Operation[KeyCreated] = Operation(
    "account.keys.create", "POST", "/v1/account/keys/create", idempotent=True
)
ACCOUNT_KEYS_ROTATE: Operation[KeyCreated] = Operation(
    "account.keys.rotate", "POST", "/v1/account/keys/rotate/{key_id}", idempotent=True
)
ACCOUNT_KEYS_REVOKE: Operation[KeyRevoked] = Operation(
    "account.keys.revoke", "DELETE", "/v1/account/keys/revoke/{key_id}", idempotent=True
)
ACCOUNT_BALANCE: Operation[Balance] = Operation("account.balance", "GET", "/v1/account/balance")
ACCOUNT_TOPUP: Operation[Topup] = Operation("account.topup", "POST", "/v1/account/topup", idempotent=True)
ACTIVATE: Operation[Activation] = Operation("activate", "POST", "/v1/activate", public=True)
WEBHOOK_SEND: Operation[DeliveryAccepted] = Operation(
    "webhook.send", "POST", "/v1/scheduling/webhook/send", idempotent=True, nullable=("payload",)
)
WEBHOOK_GET: Operation[DeliveryWithAttempts] = Operation("webhook.get", "GET", "/v1/webhook/get/{delivery_id}")
WEBHOOK_LIST: Operation[DeliveryPage] = Operation("webhook.list", "GET", "/v1/webhook/list")
WEBHOOK_ATTEMPTS: Operation[DeliveryAttempts] = Operation(
    "webhook.attempts", "GET", "/v1/webhook/attempts/{delivery_id}"
)
WEBHOOK_REPLAY: Operation[DeliveryAccepted] = Operation(
    "webhook.replay", "POST", "/v1/webhook/replay/{delivery_id}", idempotent=True
)
WEBHOOK_REPLAY_MANY: Operation[Replays] = Operation(
    "webhook.replay_many", "POST", "/v1/webhook/replay", idempotent=True
)
WEBHOOK_CANCEL: Operation[DeliveryAccepted] = Operation(
    "webhook.cancel", "POST", "/v1/webhook/cancel/{delivery_id}", idempotent=True
)
WEBHOOK_EMIT: Operation[EventEmitted] = Operation(
    "webhook.emit", "POST", "/v1/webhook/emit", idempotent=True, nullable=("payload",)
)
ACCOUNT_WEBHOOKS_REGISTER: Operation[EndpointWithSecret] = Operation(
    "account.webhooks.register", "POST", "/v1/account/webhooks/register", idempotent=True
)
ACCOUNT_WEBHOOKS_LIST: Operation[EndpointPage] = Operation("account.webhooks.list", "GET", "/v1/account/webhooks/list")
ACCOUNT_WEBHOOKS_GET: Operation[EndpointRecord] = Operation(
    "account.webhooks.get", "GET", "/v1/account/webhooks/get/{webhook_id}"
)
ACCOUNT_WEBHOOKS_UPDATE: Operation[EndpointRecord] = Operation(
    "account.webhooks.update", "PATCH", "/v1/account/webhooks/update/{webhook_id}", idempotent=True
)
ACCOUNT_WEBHOOKS_DELETE: Operation[EndpointDeleted] = Operation(
    "account.webhooks.delete", "DELETE", "/v1/account/webhooks/delete/{webhook_id}", idempotent=True
)
ACCOUNT_WEBHOOKS_TEST: Operation[EventEmitted] = Operation(
    "account.webhooks.test", "POST", "/v1/account/webhooks/test/{webhook_id}", idempotent=True
)
ACCOUNT_WEBHOOKS_ROTATE: Operation[EndpointWithSecret] = Operation(
    "account.webhooks.rotate", "POST", "/v1/account/webhooks/rotate/{webhook_id}", idempotent=True
)
ACCOUNT_WEBHOOKS_RECOVER: Operation[Replays] = Operation(
    "account.webhooks.recover", "POST", "/v1/account/webhooks/recover/{webhook_id}", idempotent=True
)
ACCOUNT_WEBHOOKS_DELIVERIES: Operation[EndpointDeliveries] = Operation(
    "account.webhooks.deliveries", "GET", "/v1/account/webhooks/deliveries/{webhook_id}"
)
ACCOUNT_AUDIT_LIST: Operation[AuditPage] = Operation("account.audit.list", "GET", "/v1/account/audit/list")
DISCOVERY_LIST: Operation[Discovered] = Operation("discovery.list", "GET", "/v1/discovery", public=True, bare=True)
DISCOVERY_GET: Operation[Capability] = Operation(
    "discovery.get", "GET", "/v1/discovery/{capability}", public=True, bare=True
)

BY_ID: dict[str, Operation[Any]] = {each.id: each for each in tuple(globals().values()) if isinstance(each, Operation)}
