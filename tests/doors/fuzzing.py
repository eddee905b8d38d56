"""What schemathesis cannot know from the OpenAPI document: texts with a meaning, and fields that exclude each other.

Loaded by the schemathesis process, through SCHEMATHESIS_HOOKS.
"""

from __future__ import annotations

import os
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st

from mainspring.doors.rest import queue_requests, webhook_requests
from mainspring.doors.rest.push_requests import PushFields
from mainspring.doors.rest.requests import CronFields, TaskFields

FORMATS = {
    "cron": st.sampled_from(["* * * * *", "0 9 * * 1", "*/5 0 1 * *", "@daily", "CRON_TZ=Asia/Tokyo 0 9 * * 1-5"]),
    "target-url": st.sampled_from(["https://example.com/a", "http://127.0.0.1:9/x?y=1", "HTTP://EXAMPLE.COM"]),
    "time-zone": st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    "date-time": st.datetimes().map(lambda at: f"{2000 + at.year % 100:04}-{at:%m}-01T{at:%H:%M:%S}Z"),
    "secret": st.text("abcü😀", min_size=1, max_size=20),
    "re2": st.sampled_from(["ok", "^a.*b$", "(?i)done"]),
    "cursor": st.just(""),
    "queue-name": st.sampled_from(["orders", "jobs", "a.b:c_d-1"]),
    "message-id": st.sampled_from(["msg_0000000000000", "x"]),
    "receipt": st.sampled_from(["rcp_00000000000000000000000000", "x"]),
    "endpoint-id": st.sampled_from(["wh_0000000000000", "x"]),
    "schedule-id": st.sampled_from(["cron_0000000000000", "task_0000000000000", "x"]),
}
SPELLINGS = (
    *(CronFields, TaskFields, PushFields),
    *(queue_requests.QueueFields, queue_requests.PublishFields, queue_requests.LeaseFields),
    *(webhook_requests.SendFields, webhook_requests.EmitFields, webhook_requests.ReplayManyFields),
    *(webhook_requests.RegisterFields, webhook_requests.DeliveriesQuery),
)
for name, strategy in FORMATS.items():
    schemathesis.openapi.format(name, strategy)


@schemathesis.hook
def map_case(context: schemathesis.HookContext, case: schemathesis.Case) -> schemathesis.Case:
    """A body that is meant to be accepted has one spelling of each field, and nothing that excludes something else."""
    positive = case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE
    if positive:
        if isinstance(case.body, dict):
            case.body = _agreeing(case.body)
        if isinstance(case.query, dict):
            case.query = _agreeing(case.query)
        if "Idempotency-Key" in (case.headers or {}):
            case.headers["Idempotency-Key"] = uuid.uuid4().hex
    return case


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """The key that all calls are made with must not be revoked or expire half way."""
    return (case.path_parameters or {}).get("id") != os.environ["FUZZING_KEY_ID"]


def _agreeing(body: dict[str, Any]) -> dict[str, Any]:
    kept = {name: _each_agreeing(value) for name, value in body.items()}
    for other in {"body", "data"} & kept.keys() if "payload" in kept else ():
        # `null` is a payload like any other.
        del kept[other]
    for policy in [kept[name] for name in ("retry", "retries", "retry_policy") if isinstance(kept.get(name), dict)]:
        # The one says what the other says.
        policy.pop("max_attempts", None)
    for struct in SPELLINGS:
        for field, others in struct.aliases.items():
            given = [spelling for spelling in (field, *others) if kept.get(spelling) is not None]
            for spelling in given[1:]:
                del kept[spelling]
    excluded = ["expires_at", "idempotency_key"]
    if kept.get("cron_expr") is not None or kept.get("schedule") is not None:
        excluded += ["run_at", "at", "timezone", "dialect"]
    if kept.get("type") == "fifo":
        excluded.append("enable_priority")
    if kept.get("task_type") == "queue":
        excluded.append("task_type")
    # A dead-letter queue must be of the same type and not of its own; a delay shorter than what is kept.
    excluded += ["dead_letter_queue", "wait_seconds", "delay_seconds"]
    return {name: value for name, value in kept.items() if name not in excluded}


def _each_agreeing(value: Any) -> Any:
    return [_agreeing(item) if isinstance(item, dict) else item for item in value] if isinstance(value, list) else value
