"""What a script's process says, read strictly: it may say anything. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec


class Fetch(msgspec.Struct, frozen=True):
    """A request that a script wants to be sent; the body is base64 in JSON."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    redirect: Literal["follow", "error", "manual"]


class Inline(msgspec.Struct, frozen=True):
    """Another script to be run; `params` is JSON."""

    name: str
    params: str
    seconds: float | None


class AskFetch(msgspec.Struct, frozen=True, tag_field="kind", tag="fetch"):
    """Send a request."""

    id: int
    content: Fetch


class AskRpc(msgspec.Struct, frozen=True, tag_field="kind", tag="rpc"):
    """Carry out a JSON-RPC request, which is a text."""

    id: int
    content: str


class AskInline(msgspec.Struct, frozen=True, tag_field="kind", tag="inline"):
    """Run another script."""

    id: int
    content: Inline


class Log(msgspec.Struct, frozen=True, tag_field="kind", tag="log"):
    """A line for the console."""

    level: Literal["debug", "info", "warning", "error"]
    text: str


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """The script is over: the JSON of its result, or an error."""

    result: str | None
    error: str | None


Ask = AskFetch | AskRpc | AskInline
Said = AskFetch | AskRpc | AskInline | Log | End

_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


class Response(msgspec.Struct, frozen=True):
    """What a request came to; the body becomes base64 in JSON."""

    status: int
    url: str
    redirected: bool
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """The answer to what was asked: a value, or an error."""

    id: int
    kind: str
    value: object = None
    error: str | None = None


def read(line: bytes) -> Said | None:
    """What was said; None for what no honest process says."""
    try:
        return _said.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def line_of(message: object) -> bytes:
    """One line for the process."""
    return msgspec.json.encode(message) + b"\n"


def json_of(text: str) -> bytes | None:
    """What a script returned, as JSON; a text that is itself JSON stands for what it says. None for what is no JSON."""
    try:
        found = msgspec.json.decode(text)
        if isinstance(found, str):
            try:
                msgspec.json.decode(found)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return text.encode()
            return found.encode()
        return text.encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
