"""What was sent: the request as it can be shown, with the names of secret headers and without their values."""

from __future__ import annotations

import msgspec

from mainspring import __version__
from mainspring.core import ids
from mainspring.core.drafts import HIDDEN, opened_headers
from mainspring.core.forms import CONTENT_TYPE
from mainspring.core.headers import outbound_headers
from mainspring.core.model import Run, Target, TargetKind
from mainspring.core.ports import Vault
from mainspring.core.urls import QUEUE_SCHEME

_SIGNATURES = ("webhook-signature", "X-Infrai-Timestamp", "X-Infrai-Signature")
_BODILESS = ("GET", "DELETE")


class Asked(msgspec.Struct, frozen=True):
    """A request, of its last attempt. `headers` is empty for what is not sent by HTTP; `queue`: to which it went."""

    kind: TargetKind
    method: str
    address: str
    headers: tuple[tuple[str, str], ...]
    payload: bytes | None
    timeout_ms: int
    queue: str | None


def asked_of_target(vault: Vault, run: Run, target: Target | None, webhook_id: int | None = None) -> Asked | None:
    """The request of a run, or of a delivery known to its receiver as `webhook_id`; None when the target is gone."""
    if target is None:
        return None
    payload = run.payload if run.payload is not None else target.payload
    by_http = target.kind in ("http", "form", "text")
    if payload is None and by_http and target.method not in _BODILESS:
        payload = b"{}"
    queue = target.address.removeprefix(QUEUE_SCHEME) if target.kind == "queue" else None
    headers = _headers(vault, run, target, webhook_id) if by_http else ()
    return Asked(target.kind, target.method, target.address, headers, payload, target.timeout_ms, queue)


def _headers(vault: Vault, run: Run, target: Target, webhook_id: int | None) -> tuple[tuple[str, str], ...]:
    custom = dict.fromkeys(opened_headers(vault, target), HIDDEN)
    if target.kind == "form":
        custom["Content-Type"] = CONTENT_TYPE
    prefix = "run" if webhook_id is None else "dlv"
    message_id = None if webhook_id is None else ids.text("dlv", webhook_id)
    shown = outbound_headers(
        version=__version__,
        run_id=ids.text(prefix, run.id),
        attempt=max(1, run.attempt),
        scheduled_for=run.scheduled_for,
        now=run.attempt_started_at or run.started_at,
        body=b"",
        custom=tuple(custom.items()),
        webhook_id=message_id,
        idempotency_key=message_id,
    )
    signed = () if target.secret is None else tuple((name, HIDDEN) for name in _SIGNATURES)
    return (*shown, *signed)
