"""The form by which an agent is asked to do something."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from mainspring.core import agents, task_types
from mainspring.core.errors import Conflict, Invalid
from mainspring.core.tokens import BOOTSTRAP_PROJECT
from mainspring.doors.console.visit import Visit

TOKEN_DICE = 16
# Kind → the form's field that says what it is about; None for those that take nothing.
FORMS: dict[str, str | None] = {
    "ping": "target",
    "tcp_ping": "target",
    "http_ping": "target",
    "http_request": "url",
    "execute": "cmd",
    "dns": "domain",
    "ip": None,
    "version": None,
    "read_config": None,
    "other": "json",
}


async def create(visit: Visit, uuid: str) -> int:
    """The number of the new task. Raises `Invalid` naming the field, and `Conflict` when the agent is not there."""
    kind = visit.form.get("kind", "")
    if kind not in FORMS:
        raise Invalid("that is no kind of task", field="kind")
    try:
        name, task = task_types.read(_task(kind, visit.form))
        if name == "execute" and not task["execute"]["cmd"].strip():
            raise Invalid("the command is empty")
    except Invalid as invalid:
        raise Invalid(invalid.message, hint=invalid.hint, field=invalid.field or FORMS[kind]) from None
    number = await agents.create(visit.core, visit.now, BOOTSTRAP_PROJECT, uuid, name, task, os.urandom(TOKEN_DICE))
    if number is None:
        raise Conflict("the agent is not connected", hint="It gets no task until it is.")
    return number


def _task(kind: str, form: dict[str, str]) -> Any:
    """What was typed, as the JSON of a task. Raises `Invalid`."""

    def typed(name: str) -> str:
        value = form.get(name, "").strip()
        if "\0" in value:
            raise Invalid("that contains a NUL", field=name)
        return value

    def needed(name: str) -> str:
        if not (value := typed(name)):
            raise Invalid("this is missing", field=name)
        return value

    match kind:
        case "ping" | "tcp_ping" | "http_ping":
            return {kind: needed("target")}
        case "http_request":
            return {
                kind: {
                    "url": needed("url"),
                    "method": typed("method") or "GET",
                    "headers": _headers(typed("headers")),
                    "body": form.get("body") or None,
                }
            }
        case "execute":
            return {kind: {"cmd": typed("cmd"), "args": [one for one in typed("args").split("\n") if one]}}
        case "dns":
            types = [one.lower() for one in typed("record_types").replace(",", " ").split()]
            server = typed("dns_server") or None
            return {kind: {"domain": needed("domain"), "record_types": types or ["a"], "dns_server": server}}
        case "other":
            try:
                return msgspec.json.decode(needed("json").encode("utf-8", "replace"))
            except (msgspec.DecodeError, RecursionError) as error:
                raise Invalid(f"this is no JSON: {error}", field="json") from None
        case _:
            return kind


def _headers(text: str) -> dict[str, str]:
    found = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Invalid("a header is written name: value, one to a line", field="headers")
        found[name.strip()] = value.strip()
    return found
