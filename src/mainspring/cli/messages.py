"""`queue publish`, `peek`, `ack`, `nack`, `release`, `extend`: messages, one command each."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from mainspring.cli import api, show
from mainspring.cli.crons import parse_payload

_PAYLOAD_SHOWN = 100


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs that concern single messages."""
    publish = verbs.add_parser("publish", help="publish a message; a queue nobody has made is made")
    publish.add_argument("queue")
    publish.add_argument("payload", help="JSON; - reads it from standard input")
    publish.add_argument("--text", action="store_true", help="the payload is a text, not JSON")
    publish.add_argument("--delay", type=float, metavar="S", help="seconds until it may be consumed")
    publish.add_argument("--priority", type=int, help="0-9, the higher comes first")
    publish.add_argument("--group", help="on a FIFO queue: its group")
    publish.add_argument("--dedup", metavar="ID", help="published once within 5 minutes")
    publish.add_argument("--header", action="append", metavar="NAME: VALUE", help="a header (repeatable)")
    publish.add_argument("--idempotency-key", metavar="KEY", help="published once within 24 hours")
    api.add_options(publish)
    publish.set_defaults(run=_publish)
    peek = verbs.add_parser("peek", help="look at the messages that come next, without taking them")
    peek.add_argument("queue")
    peek.add_argument("--max", type=int, default=10, help="at most so many, 1-1000 (10)")
    api.add_options(peek)
    peek.set_defaults(run=_peek)
    for verb, what in (
        ("ack", "a message is done with"),
        ("nack", "a message failed: it comes back, or is a dead letter"),
        ("release", "give a message back without counting a failure"),
        ("extend", "keep a message for longer"),
    ):
        one = verbs.add_parser(verb, help=what)
        one.add_argument("queue")
        one.add_argument("message_id")
        one.add_argument("--receipt", help="as it came with the message (without: this key must hold the lease)")
        if verb in ("nack", "release"):
            one.add_argument("--delay", type=float, metavar="S", help="seconds until it comes back")
        if verb == "nack":
            one.add_argument("--dead", action="store_true", help="make it a dead letter at once")
        if verb == "extend":
            one.add_argument("--visibility", type=float, metavar="S", help="seconds from now (as the queue says)")
        api.add_options(one)
        one.set_defaults(run=_settle)


def _publish(args: argparse.Namespace) -> int:
    given = sys.stdin.read() if args.payload == "-" else args.payload
    body: dict[str, Any] = {
        "queue": args.queue,
        "delay_seconds": args.delay,
        "priority": args.priority,
        "message_group_id": args.group,
        "deduplication_id": args.dedup,
        "idempotency_key": args.idempotency_key,
    }
    if args.header:
        pairs = (line.partition(":") for line in args.header)
        body["headers"] = {name.strip(): value.strip() for name, _, value in pairs}
    sent = {name: value for name, value in body.items() if value is not None}
    sent["payload"] = given if args.text else parse_payload(given)
    done = api.call(args, "POST", "/v1/queue/publish", sent)
    if args.json:
        show.as_json(done)
    else:
        print(f"published {done['message_id']}")
    return 0


def _peek(args: argparse.Namespace) -> int:
    found = api.call(args, "GET", path_of("peek", args.queue), query={"max_messages": args.max})["messages"]
    if args.json:
        show.as_json(found)
        return 0
    show.table(
        ("message", "published", "priority", "group", "handed out", "payload"),
        (
            (
                item["message_id"],
                show.local(item["published_at"]),
                item["priority"],
                item["group_id"],
                item["attempt"],
                shortened(item["payload"]),
            )
            for item in found
        ),
        "no messages can be consumed now",
    )
    return 0


def _settle(args: argparse.Namespace) -> int:
    body = {
        "queue": args.queue,
        "message_id": args.message_id,
        "receipt": args.receipt,
        "delay_seconds": getattr(args, "delay", None),
        "requeue": False if getattr(args, "dead", False) else None,
        "visibility_timeout": getattr(args, "visibility", None),
    }
    sent = {name: value for name, value in body.items() if value is not None}
    done = api.call(args, "POST", f"/v1/queue/{args.verb}", sent)
    if args.json:
        show.as_json(done)
        return 0
    match args.verb:
        case "ack":
            said = "acknowledged"
        case "nack":
            said = "comes back" if done["requeued"] else "is a dead letter now"
        case "release":
            said = "given back"
        case _:
            said = f"yours until {show.local(done['visible_until'])}"
    print(f"{args.message_id}: {said}")
    return 0


def path_of(what: str, queue: str) -> str:
    """The path of a call that names its queue there."""
    return f"/v1/queue/{what}/{quote(queue, safe='')}"


def shortened(payload: object) -> str:
    """A payload as JSON, as far as it fits on a line."""
    text = json.dumps(payload, ensure_ascii=False)
    return text if len(text) <= _PAYLOAD_SHOWN else text[: _PAYLOAD_SHOWN - 1] + "…"
