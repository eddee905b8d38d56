"""What callers may send about push subscriptions, with the bounds of each field and the other names it goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mainspring.core import limits
from mainspring.core.model import SignatureStyle
from mainspring.core.push_model import PushFormat
from mainspring.doors.rest.queue_requests import QueueName
from mainspring.doors.rest.requests import Given, HeaderMap, PageQuery, Secret


def _said(description: str, **schema: object) -> Meta:
    return Meta(description=description, extra_json_schema=schema or None)


PushUrl = Annotated[
    str,
    Meta(min_length=1, max_length=limits.URL_CHARS_MAX),
    _said("The http(s) URL to which messages are posted; a 2xx answer acknowledges.", format="target-url"),
]


class PushFields(msgspec.Struct, frozen=True, kw_only=True):
    """A push subscription. The same URL again is the same subscription, with these settings: what is left out has its
    default."""

    aliases: ClassVar[Mapping[str, tuple[str, ...]]] = {"url": ("forward_to",)}

    url: Given[PushUrl] = UNSET
    secret: Given[Secret] = UNSET
    headers: Annotated[
        Given[HeaderMap], _said("Custom headers of every push, encrypted at rest and shown as `***`.")
    ] = UNSET
    signature_style: Annotated[Given[SignatureStyle], _said("What `X-Infrai-Signature` covers.", default="body")] = (
        UNSET
    )
    format: Annotated[
        Given[PushFormat],
        _said("The body: the message with its id, queue and attempt, or its bare payload.", default="message"),
    ] = UNSET
    max_retries: Annotated[
        Given[Annotated[int, Meta(ge=0, le=limits.QUEUE_RETRIES_MAX)]],
        _said("For failures by push, instead of the queue's."),
    ] = UNSET
    dead_letter_queue: Annotated[
        Given[QueueName], _said("For failures by push, instead of the queue's; made when missing.")
    ] = UNSET
    visibility_timeout: Annotated[
        Given[Annotated[float, Meta(ge=1, le=limits.VISIBILITY_S_MAX)]],
        _said("Seconds of a lease, at least `timeout_seconds` + 5; the queue's own when left out."),
    ] = UNSET
    timeout_seconds: Annotated[
        Given[Annotated[float, Meta(ge=1, le=limits.TIMEOUT_S_MAX)]],
        _said("Wall clock seconds for one whole push.", default=limits.PUSH_TIMEOUT_S_DEFAULT),
    ] = UNSET
    max_concurrency: Annotated[
        Given[Annotated[int, Meta(ge=1, le=limits.PUSH_CONCURRENCY_MAX)]],
        _said("Messages in flight at a time, over all nodes.", default=limits.PUSH_CONCURRENCY_DEFAULT),
    ] = UNSET


class PushesQuery(PageQuery, frozen=True):
    """Which pushes."""

    subscription_id: (
        Annotated[str, _said("Only pushes of this subscription.", format="subscription-id")] | UnsetType
    ) = UNSET
