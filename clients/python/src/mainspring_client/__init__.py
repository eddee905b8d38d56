"""Client of a Mainspring server: cron jobs, one-shot tasks, queues and webhooks.

`infra` is a client that finds address and key by itself: `infra.cron.create("0 9 * * *", "https://…", name="digest")`.
"""

from __future__ import annotations

import atexit

from mainspring_client.answers import Result
from mainspring_client.async_client import AsyncClient
from mainspring_client.client import Client
from mainspring_client.errors import (
    BadAnswer,
    BadSignature,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    IdempotencyMismatch,
    Internal,
    InvalidJson,
    LeaseExpired,
    MainspringError,
    MethodNotAllowed,
    NeverFires,
    NoAnswer,
    NoKey,
    NotFound,
    PayloadTooLarge,
    QueueFull,
    QueueInUse,
    RateLimited,
    Refused,
    TargetForbidden,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from mainspring_client.operation import NULL
from mainspring_client.signatures import check_signature, verify_webhook
from mainspring_client.version import __version__
from mainspring_client.worker import AsyncWorker, GiveBack, Reject, Retry, Worker

infra = Client()
"""The client of this process."""

account = infra.account
atexit.register(infra.close)

__all__ = [
    "NULL",
    "AsyncClient",
    "AsyncWorker",
    "BadAnswer",
    "BadSignature",
    "Client",
    "Conflict",
    "DeadlineExceeded",
    "Forbidden",
    "GiveBack",
    "IdempotencyMismatch",
    "Internal",
    "InvalidJson",
    "LeaseExpired",
    "MainspringError",
    "MethodNotAllowed",
    "NeverFires",
    "NoAnswer",
    "NoKey",
    "NotFound",
    "PayloadTooLarge",
    "QueueFull",
    "QueueInUse",
    "RateLimited",
    "Refused",
    "Reject",
    "Result",
    "Retry",
    "TargetForbidden",
    "Unauthorized",
    "Unavailable",
    "UnsupportedMediaType",
    "ValidationFailed",
    "Worker",
    "__version__",
    "account",
    "check_signature",
    "infra",
    "verify_webhook",
]
