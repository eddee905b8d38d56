"""The REST API from the shell: address and key, one call, its data or its error."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any
from urllib import error, parse, request

from mainspring.core.errors import Refused, Unavailable

_HOME = Path("~/.mainspring/credentials")
# The server is where the user says; a proxy from the environment is for other things.
_OPENER = request.build_opener(request.ProxyHandler({}))


class Failed(Refused):
    """The server refused; its own words."""

    code = "REFUSED"


def add_options(parser: ArgumentParser) -> None:
    """The options every command that talks to a server has."""
    parser.add_argument("--url", help="address of the server (default: MAINSPRING_URL, else credentials.json)")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def address(args: Namespace) -> tuple[str, str | None]:
    """(URL, key) from the flags, the environment, the data directory's credentials.json, ~/.mainspring/credentials.

    The data directory: --data, MAINSPRING_DATA, else ./mainspring-data.
    """
    data = getattr(args, "data", None) or os.environ.get("MAINSPRING_DATA") or "mainspring-data"
    url = getattr(args, "url", None) or os.environ.get("MAINSPRING_URL")
    key = os.environ.get("MAINSPRING_API_KEY")
    for path in (Path(data) / "credentials.json", _HOME.expanduser()):
        if url and key:
            break
        try:
            kept = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        url, key = url or kept.get("url"), key or kept.get("api_key")
    return (url or "http://127.0.0.1:8080").rstrip("/"), key


def call(
    args: Namespace, method: str, path: str, body: dict[str, Any] | None = None, query: dict[str, Any] | None = None
) -> Any:
    """The `data` of one call. Raises `Failed` with the server's words, `Unavailable` when nobody answers."""
    url, key = address(args)
    given = {name: value for name, value in (query or {}).items() if value is not None}
    full = url + path + ("?" + parse.urlencode(given) if given else "")
    if not full.startswith(("http://", "https://")):
        raise Failed(f"{url} is not an http(s) address", hint="Write it like http://127.0.0.1:8080.")
    asked = request.Request(full, method=method, data=None if body is None else json.dumps(body).encode())  # noqa: S310  # checked above
    asked.add_header("Content-Type", "application/json")
    if key:
        asked.add_header("Authorization", f"Bearer {key}")
    try:
        with _OPENER.open(asked, timeout=60) as reply:
            answer = json.loads(reply.read())
    except error.HTTPError as refused:
        raise _failed(refused) from None
    except (error.URLError, OSError, ValueError) as failure:
        reason = getattr(failure, "reason", failure)
        raise Unavailable(
            f"no server answers at {url}: {reason}", hint="Start one with `mainspring dev`, or set MAINSPRING_URL."
        ) from None
    return answer["data"]


def pages(args: Namespace, path: str, query: dict[str, Any], most: int) -> list[Any]:
    """The items of a listing, over as many pages as it takes, at most `most`."""
    items: list[Any] = []
    cursor = None
    while len(items) < most:
        page = call(args, "GET", path, query={**query, "limit": min(500, most - len(items)), "cursor": cursor})
        items += page["items"]
        cursor = page.get("next_cursor")
        if not cursor:
            break
    return items


def _failed(refused: error.HTTPError) -> Failed:
    try:
        told = json.loads(refused.read())["error"]
        return Failed(told["message"], hint=told.get("hint") or "", field=told.get("field"), code=told["code"])
    except (ValueError, KeyError, TypeError, OSError):
        return Failed(f"the server answered HTTP {refused.code}", hint="Is this the address of a mainspring server?")
