"""Deliveries as commands show them, and what commands that make them share."""

from __future__ import annotations

import argparse
from typing import Any

from mainspring.cli import show

STATES = ("queued", "sending", "retrying", "delivered", "failed", "cancelled")


def headers_of(lines: list[str] | None) -> dict[str, Any]:
    """The `headers` of a body, from lines like `Name: value`; nothing when there are none."""
    if not lines:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {"headers": {name.strip(): value.strip() for name, _, value in pairs}}


def table(args: argparse.Namespace, items: list[dict[str, Any]]) -> int:
    """Deliveries as a table, or as JSON."""
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("made", "delivery", "event", "to", "state", "attempts", "status", "error"),
        (
            (
                show.local(item["created_at"]),
                item["id"],
                item["event"],
                item["url"],
                item["state"],
                item["attempt"],
                item["response_status"],
                item["error"],
            )
            for item in items
        ),
        "no deliveries",
    )
    return 0
