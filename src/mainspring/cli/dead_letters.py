"""`queue dlq` and `queue tail-dlq`: what has failed for good."""

from __future__ import annotations

import argparse
import json
import threading
from typing import Any

from mainspring.cli import api, show
from mainspring.cli.messages import path_of, shortened

_EVERY_S = 2.0


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `dlq` and `tail-dlq`."""
    dlq = verbs.add_parser("dlq", help="dead letters: messages that have failed for good")
    actions = dlq.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list dead letters, newest first")
    listing.add_argument("queue", help="where they come from, or where they are")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(listing)
    listing.set_defaults(run=_list)
    redrive = actions.add_parser("redrive", help="send dead letters back to where they came from")
    redrive.add_argument("queue", help="where they come from, or where they are")
    redrive.add_argument("message_id", nargs="?", help="only this one (all)")
    redrive.add_argument("--since", metavar="ISO", help="only those that died since then")
    redrive.add_argument("--max", type=int, help="at most so many, the oldest first")
    api.add_options(redrive)
    redrive.set_defaults(run=_redrive)
    tail = verbs.add_parser("tail-dlq", help="follow new dead letters, a line for each")
    tail.add_argument("queue", help="where they come from, or where they are")
    tail.add_argument("--existing", type=int, default=0, metavar="N", help="show the newest N there are first (0)")
    tail.add_argument("--every", type=float, default=_EVERY_S, metavar="S", help="look again after so long (2)")
    api.add_options(tail)
    tail.set_defaults(run=_tail)


def _list(args: argparse.Namespace) -> int:
    items = api.pages(args, path_of("dlq/list", args.queue), {}, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("message", "from", "died", "reason", "failures", "payload"),
        (
            (
                item["message_id"],
                item["source_queue"],
                show.local(item["dead_lettered_at"]),
                item["reason"],
                item["failures"],
                shortened(item["payload"]),
            )
            for item in items
        ),
        "no dead letters",
    )
    return 0


def _redrive(args: argparse.Namespace) -> int:
    body = {"message_id": args.message_id, "since": args.since, "max_messages": args.max}
    sent = {name: value for name, value in body.items() if value is not None}
    done = api.call(args, "POST", path_of("dlq/redrive", args.queue), sent)
    if args.json:
        show.as_json(done)
    else:
        print(f"sent {done['redriven']} back")
    return 0


def _tail(args: argparse.Namespace) -> int:
    """Each dead letter once, in the order in which they died."""
    never = threading.Event()
    page = api.pages(args, path_of("dlq/list", args.queue), {}, max(1, args.existing))
    newest = _place(page[0]) if page else ("", "")
    for item in reversed(page[: args.existing]):
        _print(args, item)
    while True:
        never.wait(args.every)
        for item in reversed(_newer(args, newest)):
            _print(args, item)
            newest = _place(item)


def _newer(args: argparse.Namespace, than: tuple[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = api.call(args, "GET", path_of("dlq/list", args.queue), query={"limit": 100, "cursor": cursor})
        for item in page["items"]:
            if _place(item) <= than:
                return found
            found.append(item)
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def _place(item: dict[str, Any]) -> tuple[str, str]:
    return item["dead_lettered_at"], item["message_id"]


def _print(args: argparse.Namespace, item: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(item, ensure_ascii=False), flush=True)
        return
    told = (show.local(item["dead_lettered_at"]), item["source_queue"], item["message_id"], item["reason"])
    print("  ".join((*told, show.clean(shortened(item["payload"])))), flush=True)
