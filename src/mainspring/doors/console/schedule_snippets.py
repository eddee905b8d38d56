"""How to make the same schedule by the API: for the shell, Python and TypeScript."""

from __future__ import annotations

import json
from pprint import pformat
from typing import Any

import msgspec

from mainspring.core.drafts import HIDDEN
from mainspring.doors.console.schedule_fields import DEFAULTS, body_of, stored_of


class Snippet(msgspec.Struct, frozen=True):
    """One way to do it. `language`: its proper name."""

    id: str
    language: str
    text: str


def snippets_of(record: Any) -> tuple[Snippet, ...]:
    """The request that makes a cron job of the REST API, without its secrets."""
    members = body_of(stored_of(record), DEFAULTS)
    if record.run_at is not None:
        members["run_at"] = record.run_at
    members = {"name": record.name, **members}
    if record.signed:
        members["secret"] = HIDDEN
    raw = msgspec.json.encode(members)
    shown = msgspec.json.format(raw, indent=2).decode()
    return (
        Snippet("snippet-curl", "curl", _curl(shown)),
        Snippet("snippet-python", "Python", _python(json.loads(raw))),
        Snippet("snippet-typescript", "TypeScript", _typescript(shown)),
    )


def _curl(body: str) -> str:
    return (
        'curl -X POST "$MAINSPRING_URL/v1/cron/create" \\\n'
        '  -H "Authorization: Bearer $MAINSPRING_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  --data-binary @- <<'END_OF_JSON'\n{body}\nEND_OF_JSON"
    )


def _python(members: dict[str, Any]) -> str:
    shown = pformat(members, sort_dicts=False, width=88)
    return f'from mainspring_client import Client\n\nclient = Client()\nclient.call("cron.create", {shown})'


def _typescript(body: str) -> str:
    return (
        'import { MainspringClient } from "@mainspring/client";\n\n'
        "const client = new MainspringClient();\n"
        f"await client.job.cron.create({body});"
    )
