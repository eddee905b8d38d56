"""What callers may send about webhooks and endpoints, with the bounds of each field and the other names it goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mainspring.core import limits
from mainspring.core.model import SignatureStyle
from mainspring.core.webhooks_model import DeliveryState
from mainspring.doors.rest.requests import Given, HeaderMap, InstantText, PageQuery, Payload, Secret

_NAME = "[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*"


def _said(description: str, **schema: object) -> Meta:
    return Meta(description=description, extra_json_schema=schema or None)


WebhookUrl = Annotated[
    str,
    Meta(min_length=1, max_length=limits.URL_CHARS_MAX),
    _said("The http(s) URL to post to; a 2xx answer is a delivery.", format="target-url"),
]
EventName = Annotated[
    str,
    Meta(max_length=limits.EVENT_CHARS_MAX, pattern=f"^{_NAME}$"),
    _said("The event's name, like `order.paid`."),
]
EventFilters = Annotated[
    tuple[
        Annotated[str, Meta(max_length=limits.EVENT_CHARS_MAX, pattern=f"^([*]|{_NAME}([.][*])?)$")],
        ...,
    ],
    Meta(min_length=1, max_length=limits.EVENT_FILTERS_MAX),
    _said('Which events: names, `prefix.*`, or `["*"]` for all.', default=["*"]),
]
RetryCount = Annotated[int, Meta(ge=0, le=limits.DELIVERY_RETRY_MAX)]
Delays = Annotated[
    tuple[Annotated[float, Meta(ge=0, le=limits.RETRY_DELAY_S_MAX)], ...], Meta(max_length=limits.DELIVERY_RETRY_MAX)
]
DeliveryTimeout = Annotated[
    float,
    Meta(ge=1, le=limits.TIMEOUT_S_MAX),
    _said("Wall clock seconds for one whole attempt.", default=limits.DELIVERY_TIMEOUT_S_DEFAULT),
]
NewId = Annotated[
    bool,
    _said("Under an id of its own; else the receiver sees the id of the first delivery, and can tell.", default=False),
]
EndpointId = Annotated[str, _said("Of this endpoint.", format="endpoint-id")]


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often to try, and when: `max_attempts` is `max_retries` and the first attempt."""

    max_attempts: Annotated[int, Meta(ge=1, le=limits.DELIVERY_RETRY_MAX + 1)] | None = None
    max_retries: RetryCount | None = None
    delays: Annotated[Delays, _said("Seconds before each retry, without jitter.")] | None = None


Retrying = Annotated[
    RetryCount | Delays | RetryPolicy,
    _said(
        "How many retries, the seconds before each of them, or a policy. The default is the list of Standard Webhooks: "
        "ten attempts over three days."
    ),
]


class SendFields(msgspec.Struct, frozen=True, kw_only=True):
    """A payload for a URL."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"retry": ("retries", "retry_policy")}

    url: Given[WebhookUrl] = UNSET
    payload: Given[Payload] = UNSET
    event: Given[EventName] = UNSET
    secret: Given[Secret] = UNSET
    signature_style: Annotated[Given[SignatureStyle], _said("What `X-Infrai-Signature` covers.", default="body")] = (
        UNSET
    )
    headers: Annotated[Given[HeaderMap], _said("Custom headers, encrypted at rest.")] = UNSET
    retry: Given[Retrying] = UNSET
    timeout_seconds: Given[DeliveryTimeout] = UNSET


class EmitFields(msgspec.Struct, frozen=True, kw_only=True):
    """An event for every endpoint that listens for it."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"event": ("type", "event_type"), "payload": ("data",)}

    event: Given[EventName] = UNSET
    payload: Annotated[Given[Payload], _said("Goes into `data` as it is.")] = UNSET


class ReplayFields(msgspec.Struct, frozen=True):
    """How to send a delivery again."""

    new_id: Given[NewId] = UNSET


class ReplayManyFields(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries to send again: those made in [since, until) that ended so. Each is taken once."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"status": ("state",)}

    status: Annotated[
        Given[Literal["failed", "delivered", "cancelled"]], _said("How they ended.", default="failed")
    ] = UNSET
    since: Given[InstantText] = UNSET
    until: Given[InstantText] = UNSET
    endpoint_id: Given[EndpointId] = UNSET
    event: Given[EventName] = UNSET
    dry_run: Annotated[Given[bool], _said("Count them only.", default=False)] = UNSET
    limit: Annotated[
        Given[Annotated[int, Meta(ge=1, le=limits.REPLAY_MAX)]],
        _said("Most of them, the oldest first; `more` says that others match.", default=limits.REPLAY_MAX),
    ] = UNSET
    new_id: Given[NewId] = UNSET


class DeliveriesOfQuery(PageQuery, frozen=True):
    """Which deliveries of an endpoint."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"state": ("status",)}

    state: Annotated[DeliveryState, _said("Only deliveries in this state.")] | UnsetType = UNSET
    event: Annotated[EventName, _said("Only deliveries of this event.")] | UnsetType = UNSET
    since: InstantText | UnsetType = UNSET
    until: InstantText | UnsetType = UNSET


class DeliveriesQuery(DeliveriesOfQuery, frozen=True):
    """Which deliveries."""

    endpoint_id: EndpointId | UnsetType = UNSET


class EndpointFields(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. On update, what is left out stays as it is."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "events": ("event_types",),
        "retry_policy": ("retry", "retries"),
    }

    url: Given[WebhookUrl] = UNSET
    events: Given[EventFilters] = UNSET
    description: Annotated[
        Given[Annotated[str, Meta(max_length=limits.NAME_CHARS_MAX, pattern=r"^[^\x00]*$")]], _said("For people.")
    ] = UNSET
    signature_style: Annotated[Given[SignatureStyle], _said("What `X-Infrai-Signature` covers.", default="body")] = (
        UNSET
    )
    headers: Given[HeaderMap] = UNSET
    retry_policy: Given[Retrying] = UNSET
    timeout_seconds: Given[DeliveryTimeout] = UNSET
    max_concurrency: Annotated[
        Given[Annotated[int, Meta(ge=1, le=limits.ENDPOINT_CONCURRENCY_MAX)]],
        _said("Deliveries in flight at a time, over all nodes.", default=limits.ENDPOINT_CONCURRENCY_DEFAULT),
    ] = UNSET
    rate_limit: Annotated[
        Given[Annotated[float, Meta(ge=0.001, le=limits.ENDPOINT_RATE_MAX)]],
        _said("Attempts per second, none when left out; a second's worth may go at once."),
    ] = UNSET
    ordered: Annotated[
        Given[bool],
        _said("One at a time, in the order of acceptance; one that fails holds up the others.", default=False),
    ] = UNSET
    enabled: Annotated[Given[bool], _said("Switched off, it gets nothing, and what waits fails.", default=True)] = UNSET


class RegisterFields(EndpointFields, frozen=True, kw_only=True):
    """A new endpoint."""

    secret: Annotated[Given[Secret], _said("What signs its deliveries; one is made when it is left out.")] = UNSET


class RotateSecretFields(msgspec.Struct, frozen=True):
    """A new secret for an endpoint."""

    grace_hours: Annotated[
        Given[Annotated[float, Meta(ge=0, le=limits.SECRET_GRACE_H_MAX)]],
        _said("Hours for which the one before signs as well.", default=limits.SECRET_GRACE_H_DEFAULT),
    ] = UNSET
    secret: Annotated[Given[Secret], _said("The new one; it is made when it is left out.")] = UNSET


class RecoverFields(msgspec.Struct, frozen=True):
    """From when on to make up for what failed."""

    since: Given[InstantText] = UNSET
    limit: Annotated[
        Given[Annotated[int, Meta(ge=1, le=limits.REPLAY_MAX)]],
        _said("Most deliveries, the oldest first; `more` says that others match.", default=limits.REPLAY_MAX),
    ] = UNSET
