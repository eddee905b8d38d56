"""What an agent can be asked to do: kinds of tasks, read from JSON and written back in one form. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from mainspring.core.errors import Invalid
from mainspring.core.permissions import unknown_variant, uuid_of, variant_of

DNS_TYPES = ("a", "aaaa", "cname", "mx", "txt", "ns", "srv", "ptr", "soa", "caa")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}


def read(value: Any) -> tuple[str, Any]:
    """The kind of a task, and the task as it is kept. Raises `Invalid`.

    Members that are not known are left out, those that are missing written as null, URLs in their usual form.
    """
    kind, content = variant_of(value)
    if kind in _ALONE:
        if content is not None:
            raise Invalid(f"invalid type: `{kind}` takes nothing")
        return kind, kind
    if kind not in _KINDS:
        raise unknown_variant(kind, (*_KINDS, *_ALONE))
    return kind, {kind: _KINDS[kind](content)}


def _text(value: Any, name: str = "the task") -> str:
    if not isinstance(value, str):
        raise Invalid(f"invalid type: {name} expects a text")
    return value


def _url(value: Any) -> str:
    """A URL in the form in which browsers write it: scheme and host in lower case, without the usual port, with a
    path."""
    text = _text(value, "a URL").strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Invalid("invalid URL") from None
    if not parts.scheme or not parts.scheme[0].isalpha():
        raise Invalid("invalid URL: relative URL without a base")
    if parts.scheme not in _PORTS:
        return text
    if not parts.hostname or any(one.isspace() for one in text):
        raise Invalid("invalid URL: empty host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    who = parts.netloc.rpartition("@")[0]
    netloc = f"{who}@{host}" if who else host
    if port is not None and port != _PORTS[parts.scheme]:
        netloc += f":{port}"
    return parts._replace(netloc=netloc, path=parts.path or "/").geturl()


def _members(value: Any, *required: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("invalid type: the task expects an object")
    for name in required:
        if name not in value:
            raise Invalid(f"missing field `{name}`")
    return value


def _web_shell(value: Any) -> Any:
    given = _members(value, "url", "terminal_id")
    return {"url": _url(given["url"]), "terminal_id": uuid_of(_text(given["terminal_id"], "terminal_id"))}


def _execute(value: Any) -> Any:
    given = _members(value, "cmd", "args")
    return {"cmd": _text(given["cmd"], "cmd"), "args": _texts(given["args"], "args")}


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        raise Invalid(f"invalid type: {name} expects a sequence")
    return [_text(one, name) for one in value]


def _http_request(value: Any) -> Any:
    given = _members(value, "url", "method")
    headers = given.get("headers")
    if headers is not None and not isinstance(headers, dict):
        raise Invalid("invalid type: headers expects an object")
    return {
        "url": _url(given["url"]),
        "method": _text(given["method"], "method"),
        "headers": {name: _text(one, "a header") for name, one in (headers or {}).items()},
        **{name: _text_or_none(given.get(name), name) for name in ("body", "body_base64", "ip")},
    }


def _text_or_none(value: Any, name: str) -> str | None:
    return None if value is None else _text(value, name)


def _dns(value: Any) -> Any:
    given = _members(value, "domain", "record_types")
    types = _texts(given["record_types"], "record_types")
    for one in types:
        if one not in DNS_TYPES:
            raise unknown_variant(one, DNS_TYPES)
    server = _text_or_none(given.get("dns_server"), "dns_server")
    return {"domain": _text(given["domain"], "domain"), "record_types": types, "dns_server": server}


_ALONE = ("read_config", "ip", "version")
_KINDS: dict[str, Callable[[Any], Any]] = {
    "ping": _text,
    "tcp_ping": _text,
    "http_ping": _url,
    "web_shell": _web_shell,
    "execute": _execute,
    "http_request": _http_request,
    "edit_config": _text,
    "dns": _dns,
    "self_update": _text,
}
KINDS = (*_KINDS, *_ALONE)
