"""`queue`: queues and their messages."""

from __future__ import annotations

import argparse
from typing import Any

from mainspring.cli import api, consuming, dead_letters, messages, pushes, show
from mainspring.cli.messages import path_of

_FIELDS = (
    "queue",
    "type",
    "dead_letter_queue",
    "max_retries",
    "message_retention_days",
    "visibility_timeout_default",
    "enable_priority",
    "paused",
    "created_at",
    "updated_at",
)


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `queue`."""
    noun = nouns.add_parser("queue", help="queues and their messages")
    verbs = noun.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = verbs.add_parser("create", help="create a queue; one with equal settings is as good as new")
    create.add_argument("queue")
    create.add_argument("--type", choices=("standard", "fifo"), help="fifo keeps the order of each group (standard)")
    _add_settings(create)
    create.set_defaults(run=_create)
    update = verbs.add_parser("update", help="change a queue's settings")
    update.add_argument("queue")
    _add_settings(update)
    update.set_defaults(run=_update)
    listing = verbs.add_parser("list", help="list queues")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(listing)
    listing.set_defaults(run=_list)
    for verb, what in (
        ("get", "show a queue's settings"),
        ("pause", "hand out no messages until resumed"),
        ("resume", "hand out messages again"),
        ("purge", "remove every message, also those in flight"),
        ("delete", "delete a queue with its messages"),
    ):
        one = verbs.add_parser(verb, help=what)
        one.add_argument("queue")
        api.add_options(one)
        one.set_defaults(run=_one)
    stats = verbs.add_parser("stats", help="count messages: available, delayed, in flight, dead")
    stats.add_argument("queue", nargs="*", help="which queues (all)")
    api.add_options(stats)
    stats.set_defaults(run=_stats)
    messages.register(verbs)
    consuming.register(verbs)
    dead_letters.register(verbs)
    pushes.register(verbs)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-retries", type=int, help="failures after which a message still comes back, 0-1000 (5)")
    parser.add_argument("--visibility", type=float, metavar="S", help="seconds that a consumed message is hidden (30)")
    parser.add_argument("--retention", type=float, metavar="DAYS", help="days that messages are kept, 1-30 (14)")
    parser.add_argument("--dead-letters", metavar="QUEUE", help="where dead letters go (QUEUE.dlq)")
    parser.add_argument("--no-priority", action="store_true", help="ignore the priority of messages")
    api.add_options(parser)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    body = {
        "type": getattr(args, "type", None),
        "max_retries": args.max_retries,
        "visibility_timeout_default": args.visibility,
        "message_retention_days": args.retention,
        "dead_letter_queue": args.dead_letters,
        "enable_priority": False if args.no_priority else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _create(args: argparse.Namespace) -> int:
    return _shown(args, api.call(args, "POST", "/v1/queue/create", {"name": args.queue, **_settings(args)}))


def _update(args: argparse.Namespace) -> int:
    return _shown(args, api.call(args, "PATCH", path_of("update", args.queue), _settings(args)))


def _list(args: argparse.Namespace) -> int:
    items = api.pages(args, "/v1/queue/list", {}, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("queue", "type", "retries", "visible after", "kept", "dead letters", "state"),
        (
            (
                item["queue"],
                item["type"],
                item["max_retries"],
                f"{item['visibility_timeout_default']:g} s",
                f"{item['message_retention_days']:g} days",
                item["dead_letter_queue"] or f"{item['queue']}.dlq",
                "paused" if item["paused"] else "open",
            )
            for item in items
        ),
        """no queues; make one by using it: mainspring queue publish orders '{"n": 1}'""",
    )
    return 0


def _one(args: argparse.Namespace) -> int:
    method = {"get": "GET", "delete": "DELETE"}.get(args.verb, "POST")
    answer = api.call(args, method, path_of(args.verb, args.queue))
    if args.json or args.verb == "get":
        return _shown(args, answer)
    done = {"pause": "paused", "resume": "resumed", "purge": "purged", "delete": "deleted"}[args.verb]
    print(f"{done} {args.queue}" + (f": {answer['purged']} messages" if args.verb == "purge" else ""))
    return 0


def _stats(args: argparse.Namespace) -> int:
    names = args.queue or [item["queue"] for item in api.pages(args, "/v1/queue/list", {}, 10_000)]
    items = [api.call(args, "GET", path_of("stats", name)) for name in names]
    if args.json:
        show.as_json(items[0] if len(args.queue) == 1 else items)
        return 0
    show.table(
        ("queue", "available", "delayed", "in flight", "dead", "oldest"),
        (
            (
                item["queue"],
                item["available"],
                item["delayed"],
                item["in_flight"],
                item["dlq"],
                None if item["oldest_age_seconds"] is None else f"{item['oldest_age_seconds']:.0f} s",
            )
            for item in items
        ),
        "no queues",
    )
    return 0


def _shown(args: argparse.Namespace, item: dict[str, Any]) -> int:
    if args.json:
        show.as_json(item)
    else:
        show.record(item, _FIELDS)
    return 0
