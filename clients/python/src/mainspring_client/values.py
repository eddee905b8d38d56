"""The values that arguments and results choose from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

Json = Any
"""Anything that `json` can write: None, bool, int, float, str, lists and dicts of these."""

When = str | datetime
"""An instant: ISO-8601 text, or a datetime with a time zone."""

TaskType = Literal["http_url", "http", "queue"]
HttpMethod = Literal["POST", "GET", "PUT", "PATCH", "DELETE"]
Dialect = Literal["standard", "nodeget", "go-crontab", "quartz"]
Overlap = Literal["allow", "queue", "skip"]
Catchup = Literal["all", "latest", "skip"]
SignatureStyle = Literal["body", "timestamp.body"]
RunState = Literal["cancelled", "failed", "queued", "retrying", "running", "succeeded"]
DeliveryState = Literal["queued", "sending", "retrying", "delivered", "failed", "cancelled"]
DeliveryStatus = Literal["delivered", "failed", "pending"]
DeliveryEnd = Literal["cancelled", "delivered", "failed"]
QueueType = Literal["fifo", "standard"]
PushFormat = Literal["message", "payload"]
Scope = Literal[
    "cron:read",
    "cron:write",
    "queue:publish",
    "queue:consume",
    "webhook:read",
    "webhook:write",
    "metrics:read",
    "admin",
]
