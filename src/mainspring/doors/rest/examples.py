"""An example of each operation, for discovery: what is given, and how it is written in three languages."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from mainspring.doors.rest.operation import Operation

_HOOK = "https://example.com/hooks/orders"
_LEASED = {"queue": "orders", "message_id": "msg_0m3x9k2v7qd4h", "receipt": "rcp_0m3x9k2v7qd4hb8t5w1z6n0c2f"}

# What is given beyond the path. An operation that needs nothing need not be here.
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "cron.create": {
        "cron_expr": "0 9 * * 1-5",
        "task": "https://example.com/hooks/digest",
        "name": "digest",
        "timezone": "Europe/Berlin",
    },
    "cron.update": {"cron_expr": "30 9 * * 1-5"},
    "cron.trigger": {"payload": {"reason": "by hand"}},
    "cron.runs.list": {"state": "failed", "limit": 10},
    "cron.retention.set": {"retention_days": 7},
    "cron.preview": {"cron_expr": "0 9 * * 1-5", "timezone": "Europe/Berlin", "count": 3},
    "task.schedule": {"task": _HOOK, "run_at": "2030-01-31T09:00:00Z", "payload": {"order": 42}},
    "run.list": {"state": "failed", "limit": 10},
    "queue.create": {"name": "orders", "max_retries": 3},
    "queue.update": {"visibility_timeout_default": 60},
    "queue.publish": {"queue": "orders", "payload": {"order": 42}, "delay_seconds": 5},
    "queue.publish_batch": {"queue": "orders", "messages": [{"payload": {"order": 42}}, {"payload": {"order": 43}}]},
    "queue.consume": {"queue": "orders", "max_messages": 10, "wait_seconds": 1},
    "queue.peek": {"max_messages": 5},
    "queue.ack": _LEASED,
    "queue.ack_batch": {"queue": "orders", "message_ids": ["msg_0m3x9k2v7qd4h"]},
    "queue.nack": {**_LEASED, "delay_seconds": 30},
    "queue.release": _LEASED,
    "queue.extend": {**_LEASED, "visibility_timeout": 60},
    "queue.dlq.redrive": {"max_messages": 100},
    "queue.push_subscribe": {"url": _HOOK, "max_concurrency": 4},
    "webhook.send": {"url": _HOOK, "payload": {"order": 42}, "event": "order.paid"},
    "webhook.emit": {"event": "order.paid", "payload": {"order": 42}},
    "webhook.list": {"state": "failed", "limit": 10},
    "webhook.replay_many": {"status": "failed", "since": "2030-01-31T09:00:00Z", "limit": 100},
    "account.webhooks.register": {"url": _HOOK, "events": ["order.*"]},
    "account.webhooks.update": {"events": ["order.paid", "order.refunded"]},
    "account.webhooks.rotate": {"grace_hours": 24},
    "account.webhooks.recover": {"since": "2030-01-31T09:00:00Z"},
    "account.keys.create": {"name": "reports", "scopes": ["cron:read"]},
    "account.keys.rotate": {"grace_hours": 24},
    "account.audit.list": {"operation": "cron.update", "limit": 10},
}
_NAMED = {
    "queue": "orders",
    "run_id": "run_0m3x9k2v7qd4h",
    "subscription_id": "sub_0m3x9k2v7qd4h",
    "capability": "cron.create",
}
# What ids stand for, by the beginning of the operation's: the first that fits.
_PREFIXES = {
    "account.keys": "key",
    "account.webhooks": "wh",
    "webhook": "dlv",
    "task": "task",
    "run": "run",
    "cron": "cron",
}

# Where clients have what is not under its own name.
_UNDER_JOB = {"cron", "task", "run", "queue", "webhook"}
_JSON_NAME = re.compile(r'"([A-Za-z_]\w*)":')


class Examples(msgspec.Struct, frozen=True):
    """The same call from a shell, from Python and from TypeScript, with the packages of this project."""

    curl: str
    python: str
    typescript: str


def path_of(operation: Operation) -> tuple[str, ...]:
    """Values for the path's parameters."""
    return tuple(_NAMED.get(name) or f"{_prefix(operation)}_0m3x9k2v7qd4h" for name in operation.parameters)


def _prefix(operation: Operation) -> str:
    found = (prefix for start, prefix in _PREFIXES.items() if operation.id.startswith(start))
    return next(found, operation.id.partition(".")[0])


def examples_of(operation: Operation) -> Examples:
    """How the operation is called."""
    fields = FIELDS.get(operation.id, {})
    path = path_of(operation)
    return Examples(
        _curl(operation, path, fields), _python(operation, path, fields), _typescript(operation, path, fields)
    )


def _curl(operation: Operation, path: tuple[str, ...], fields: Mapping[str, Any]) -> str:
    place = operation.paths[0]
    for name, value in zip(operation.parameters, path, strict=True):
        place = place.replace(f"{{{name}}}", quote(value, safe=""))
    query = f"?{urlencode(fields)}" if fields and not operation.reads_body else ""
    lines = [f'curl -X {operation.method} "$MAINSPRING_URL{place}{query}"']
    if not operation.public:
        lines.append('-H "Authorization: Bearer $MAINSPRING_API_KEY"')
    if fields and operation.reads_body:
        lines += ['-H "Content-Type: application/json"', f"-d {shlex.quote(json.dumps(fields))}"]
    return " \\\n  ".join(lines)


def _python(operation: Operation, path: tuple[str, ...], fields: Mapping[str, Any]) -> str:
    given = [*map(_literal, path), *(f"{name}={_literal(value)}" for name, value in fields.items())]
    return f"from mainspring_client import infra\n\nresult = infra.{operation.id}({', '.join(given)})\n"


def _literal(value: Any) -> str:
    return repr(value).replace("'", '"')


def _typescript(operation: Operation, path: tuple[str, ...], fields: Mapping[str, Any]) -> str:
    given = [json.dumps(value) for value in path]
    if fields:
        given.append(_JSON_NAME.sub(r"\1:", json.dumps(fields)).replace("{", "{ ").replace("}", " }"))
    name = re.sub(r"_([a-z])", lambda found: found[1].upper(), operation.id)
    owner = "client.job" if operation.id.partition(".")[0] in _UNDER_JOB else "client"
    return (
        'import { MainspringClient } from "@mainspring/client";\n\nconst client = new MainspringClient();\n'
        f"const result = await {owner}.{name}({', '.join(given)});\n"
    )
