"""`queue push`: subscriptions that post a queue's messages to a URL."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from mainspring.cli import api, show

_FIELDS = (
    "id",
    "queue",
    "url",
    "state",
    "format",
    "signed",
    "signature_style",
    "headers",
    "max_concurrency",
    "timeout_seconds",
    "visibility_timeout",
    "max_retries",
    "dead_letter_queue",
    "failures_in_a_row",
    "resting_until",
    "created_at",
    "updated_at",
    "ended_at",
    "ended_reason",
)


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `push` to the verbs of `queue`."""
    push = verbs.add_parser("push", help="post a queue's messages to a URL")
    actions = push.add_subparsers(dest="action", metavar="ACTION", required=True)
    subscribe = actions.add_parser("subscribe", help="post messages to a URL; the same URL again changes the settings")
    subscribe.add_argument("queue")
    subscribe.add_argument("target", metavar="URL", help="where to post; a 2xx answer acknowledges")
    _add_settings(subscribe)
    api.add_options(subscribe)
    subscribe.set_defaults(run=_subscribe)
    listing = actions.add_parser("list", help="list a queue's subscriptions")
    listing.add_argument("queue")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(listing)
    listing.set_defaults(run=_list)
    unsubscribe = actions.add_parser("unsubscribe", help="end a subscription")
    unsubscribe.add_argument("queue")
    unsubscribe.add_argument("id", help="the subscription's id")
    api.add_options(unsubscribe)
    unsubscribe.set_defaults(run=_unsubscribe)
    log = actions.add_parser("deliveries", help="list what was posted")
    log.add_argument("queue")
    log.add_argument("--subscription", metavar="ID", help="only of this subscription")
    log.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(log)
    log.set_defaults(run=_log)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--secret", help="sign every push with it")
    parser.add_argument("--signature-style", choices=("body", "timestamp.body"))
    parser.add_argument("--header", action="append", metavar="NAME: VALUE", help="header of each push (repeatable)")
    parser.add_argument("--format", choices=("message", "payload"), help="the whole message, or its bare payload")
    parser.add_argument("--max-concurrency", type=int, help="messages in flight at a time, 1-100 (8)")
    parser.add_argument("--timeout", type=float, dest="timeout_seconds", help="seconds for one push, 1-900 (30)")
    parser.add_argument("--visibility-timeout", type=float, help="seconds of a lease (the queue's)")
    parser.add_argument("--max-retries", type=int, help="for failures by push, 0-1000 (the queue's)")
    parser.add_argument("--dead-letter-queue", metavar="QUEUE", help="for failures by push (the queue's)")


def _body(args: argparse.Namespace) -> dict[str, Any]:
    names = ("secret", "signature_style", "format", "max_concurrency", "timeout_seconds", "visibility_timeout")
    body = {name: getattr(args, name) for name in (*names, "max_retries", "dead_letter_queue")}
    if args.header:
        pairs = (line.partition(":") for line in args.header)
        body["headers"] = {name.strip(): value.strip() for name, _, value in pairs}
    return {"url": args.target} | {name: value for name, value in body.items() if value is not None}


def _path(what: str, *parts: str) -> str:
    return "/".join((f"/v1/queue/push_{what}", *(quote(part, safe="") for part in parts)))


def _subscribe(args: argparse.Namespace) -> int:
    made = api.call(args, "POST", _path("subscribe", args.queue), _body(args))
    if args.json:
        show.as_json(made)
    else:
        show.record(made, _FIELDS)
    return 0


def _list(args: argparse.Namespace) -> int:
    items = api.pages(args, _path("list", args.queue), {}, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("id", "url", "state", "at a time", "failures", "until or why"),
        (
            (
                item["id"],
                item["url"],
                item["state"],
                item["max_concurrency"],
                item["failures_in_a_row"],
                item["ended_reason"] or show.local(item["resting_until"]),
            )
            for item in items
        ),
        f"no subscriptions; make one with: mainspring queue push subscribe {args.queue} https://example.com/hook",
    )
    return 0


def _unsubscribe(args: argparse.Namespace) -> int:
    ended = api.call(args, "DELETE", _path("unsubscribe", args.queue, args.id))
    if args.json:
        show.as_json(ended)
    else:
        print(f"ended {ended['id']}")
    return 0


def _log(args: argparse.Namespace) -> int:
    items = api.pages(args, _path("deliveries", args.queue), {"subscription_id": args.subscription}, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("posted", "message", "attempt", "outcome", "status", "error"),
        (
            (
                show.local(item["started_at"]),
                item["message_id"],
                item["attempt"],
                item["outcome"],
                item["response_status"],
                item["error"],
            )
            for item in items
        ),
        "nothing was posted yet",
    )
    return 0
