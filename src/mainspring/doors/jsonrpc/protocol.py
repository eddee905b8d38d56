"""JSON-RPC 2.0 as its clients here know it: bytes to requests, results to bytes. Pure.

What a request without a readable `id` means follows the server that those clients were written for: it is a
notification when it has a method, and those are neither carried out nor answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from mainspring.core.limits import RPC_ANSWER_BYTES_MAX, RPC_BATCH_MAX, RPC_BODY_BYTES_MAX
from mainspring.doors.jsonrpc.errors import (
    BATCH_ANSWER_TOO_BIG,
    BATCH_TOO_BIG,
    INVALID_REQUEST,
    PARSE_ERROR,
    REQUEST_TOO_BIG,
    RESPONSE_TOO_BIG,
    RpcError,
    too_big,
)

LOOK_AHEAD = 128
NULL = b"null"
_BLANK = b" \t\n\r\x0c"

_members = msgspec.json.Decoder(dict[str, Raw])
_entries = msgspec.json.Decoder(list[Raw])
_id = msgspec.json.Decoder(int | str | None)
_text = msgspec.json.Decoder(str)


class Request(msgspec.Struct, frozen=True):
    """One call. `id`: its JSON, to be sent back as it came; `params`: their JSON, None when there are none."""

    id: bytes
    method: str
    params: Raw | None


class Fault(msgspec.Struct, frozen=True):
    """What is no call, and what it is answered with. `unreadable`: not even the beginning of JSON-RPC."""

    id: bytes
    error: RpcError
    unreadable: bool = False


class Notification(msgspec.Struct, frozen=True):
    """A request that wants no answer and gets none."""


class Batch(msgspec.Struct, frozen=True):
    """Several at once, each still to be read with `read_entry`."""

    entries: Sequence[Raw]


Single = Request | Notification | Fault


def read(body: bytes) -> Single | Batch:
    """What one body or one message of a socket says."""
    if len(body) > RPC_BODY_BYTES_MAX:
        return Fault(NULL, too_big(REQUEST_TOO_BIG, "Request is too big", RPC_BODY_BYTES_MAX))
    match body[:LOOK_AHEAD].lstrip(_BLANK)[:1]:
        case b"{":
            return _read_single(body)
        case b"[":
            return _read_batch(body)
        case _:
            return Fault(NULL, _parse_error(), unreadable=True)


def _read_single(body: bytes) -> Single:
    members = _members_of(body)
    if members is None:
        return Fault(NULL, _parse_error())
    known = _known(members)
    if known is not None:
        return known
    found = _id_of(members)
    return Fault(NULL, _parse_error()) if found is None else Fault(found, _invalid_request())


def _read_batch(body: bytes) -> Batch | Fault:
    try:
        str(body, "utf-8")
        entries = _entries.decode(body)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return Fault(NULL, _parse_error())
    if not entries:
        return Fault(NULL, _invalid_request())
    if len(entries) > RPC_BATCH_MAX:
        return Fault(NULL, too_big(BATCH_TOO_BIG, "The batch request was too large", RPC_BATCH_MAX))
    return Batch(entries)


def read_entry(entry: Raw) -> Single:
    """One entry of a batch."""
    members = _members_of(bytes(entry))
    if members is None:
        return Fault(NULL, _invalid_request())
    known = _known(members)
    return Fault(_id_of(members) or NULL, _invalid_request()) if known is None else known


def _known(members: dict[str, Raw]) -> Request | Notification | None:
    method = _decoded(_text, members.get("method"))
    if method is None or _decoded(_text, members.get("jsonrpc")) != "2.0":
        return None
    found = _id_of(members)
    if found is None:
        return Notification()
    params = members.get("params")
    return Request(found, method, None if params is None or bytes(params) == NULL else params)


def _members_of(body: bytes) -> dict[str, Raw] | None:
    try:
        str(body, "utf-8")
        return _members.decode(body)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None


def _id_of(members: dict[str, Raw]) -> bytes | None:
    """The JSON of the id; None when there is none, or one that is neither an unsigned integer, a text nor null."""
    raw = members.get("id")
    if raw is None:
        return None
    try:
        value = _id.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(value, int) and not 0 <= value < 1 << 64:
        return None
    return bytes(raw)


def _decoded(decoder: msgspec.json.Decoder[str], raw: Raw | None) -> str | None:
    try:
        return None if raw is None else decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _parse_error() -> RpcError:
    return RpcError(PARSE_ERROR, "Parse error")


def _invalid_request() -> RpcError:
    return RpcError(INVALID_REQUEST, "Invalid request")


def succeeded(request_id: bytes, result: Any) -> bytes:
    """The answer to a call that was carried out; one that is too big becomes an error."""
    encoded = msgspec.json.encode(result)
    if len(encoded) > RPC_ANSWER_BYTES_MAX:
        return failed(request_id, too_big(RESPONSE_TOO_BIG, "Response is too big", RPC_ANSWER_BYTES_MAX))
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (request_id, encoded)


def failed(request_id: bytes, error: RpcError) -> bytes:
    """The answer to a call that was not."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (request_id, error.encoded)


def batched(answers: Sequence[bytes]) -> bytes:
    """The answers of a batch as one; nothing when there were only notifications."""
    if not answers:
        return b""
    if sum(map(len, answers)) > RPC_ANSWER_BYTES_MAX:
        return failed(NULL, too_big(BATCH_ANSWER_TOO_BIG, "The batch response was too large", RPC_ANSWER_BYTES_MAX))
    return b"[%b]" % b",".join(answers)


def event(method: str, subscription: int, item: Any) -> bytes:
    """One event of a subscription."""
    shown = {"subscription": subscription, "result": item}
    return b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (msgspec.json.encode(method), msgspec.json.encode(shown))
