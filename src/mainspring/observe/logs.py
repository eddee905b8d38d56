"""The log: the only file that turns events into lines and picks their level."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

from mainspring.core import ids
from mainspring.core.events import (
    AttemptEnded,
    EndpointDisabled,
    Event,
    Fired,
    LeasesExpired,
    LoopFailed,
    MessagesPublished,
    MessagesReceived,
    MessagesSettled,
    Pruned,
    PushEnded,
    QueueDeadLettered,
    Rescued,
    ResultFenced,
    ScheduleBroken,
    ScriptPrinted,
    SubscriptionEnded,
)

_log = structlog.get_logger("mainspring")
_LEVELS = logging.getLevelNamesMapping()


def configure(form: Literal["text", "json"] | None, level: str) -> None:
    """Send log lines to standard error, as text for people or JSON for programs."""
    text = form == "text" or (form is None and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if text else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def on_event(event: Event) -> None:
    """Write a line for what an operator wants to know."""
    match event:
        case MessagesPublished() | MessagesReceived() | MessagesSettled():
            # Too many for a line each; they are counted.
            pass
        case LeasesExpired():
            _log.info("leases expired", messages=event.messages)
        case QueueDeadLettered():
            _log.warning("messages dead-lettered", project=event.project, queue=event.queue, messages=event.messages)
        case AttemptEnded(state="failed"):
            _log.warning("run failed", **_run(event))
        case AttemptEnded(state="retrying"):
            _log.info("attempt failed, will retry", **_run(event))
        case AttemptEnded():
            if _log.is_enabled_for(logging.DEBUG):
                _log.debug("run ended", **_run(event))
        case PushEnded(outcome="acked"):
            if _log.is_enabled_for(logging.DEBUG):
                _log.debug("message pushed", **_push(event))
        case PushEnded():
            _log.info("push failed", **_push(event))
        case SubscriptionEnded():
            _log.warning(
                "subscription ended",
                subscription_id=ids.text("sub", event.subscription_id),
                project=event.project,
                queue=event.queue,
                reason=event.reason,
            )
        case EndpointDisabled():
            _log.warning(
                "endpoint disabled",
                endpoint_id=ids.text("wh", event.endpoint_id),
                project=event.project,
                reason=event.reason,
            )
        case Fired(missed=missed) if missed:
            _log.warning("instants missed", missed=missed)
        case ResultFenced():
            _log.warning("late result refused", run_id=ids.text("run", event.run_id), attempt=event.attempt)
        case Rescued():
            _log.warning("runs rescued", runs=event.runs)
        case Pruned():
            _log.info("history pruned", runs=event.runs, gaps=event.gaps, schedules=event.schedules)
        case ScheduleBroken():
            _log.error("schedule cannot be planned", cron_id=ids.text("cron", event.schedule_id), error=event.error)
        case ScriptPrinted():
            _log.log(_LEVELS[event.level.upper()], "script", script=event.script, text=event.text)
        case LoopFailed():
            _log.error("loop failed", loop=event.loop, error=event.error)
        case _:
            pass


def say(message: str, **fields: object) -> None:
    """A line about the server itself."""
    _log.info(message, **fields)


def unexpected(error: BaseException, request_id: str) -> None:
    """A bug met while answering a request."""
    _log.error("unexpected error", request_id=request_id, exc_info=error)


def _run(event: AttemptEnded) -> dict[str, object]:
    return {
        "run_id": ids.text("run", event.run_id),
        "project": event.project,
        "attempt": event.attempt,
        "status": event.status,
        "error": event.error,
        "duration_ms": event.duration_ms,
    }


def _push(event: PushEnded) -> dict[str, object]:
    return {
        "message_id": ids.text("msg", event.message_id),
        "subscription_id": ids.text("sub", event.subscription_id),
        "project": event.project,
        "queue": event.queue,
        "attempt": event.attempt,
        "outcome": event.outcome,
        "status": event.status,
        "error": event.error,
        "duration_ms": event.duration_ms,
    }
