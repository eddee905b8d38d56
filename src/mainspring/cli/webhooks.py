"""`webhook`: deliveries, and what is sent or told."""

from __future__ import annotations

import argparse
import json
from typing import Any
from urllib.parse import quote

from mainspring.cli import api, delivered, endpoints, show
from mainspring.core.errors import Invalid

_FIELDS = (
    "id",
    "state",
    "event",
    "url",
    "endpoint_id",
    "webhook_id",
    "replay_of",
    "payload",
    "attempt",
    "attempted_at",
    "response_status",
    "response_body",
    "error",
    "next_attempt_at",
    "created_at",
    "finished_at",
)


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `webhook`."""
    noun = nouns.add_parser("webhook", help="webhooks: deliveries and endpoints")
    verbs = noun.add_subparsers(dest="verb", metavar="VERB", required=True)
    send = verbs.add_parser("send", help="send a payload to a URL, signed and with retries")
    send.add_argument("target", metavar="URL")
    send.add_argument("payload", nargs="?", help="any JSON ({})")
    send.add_argument("--event", help="the event's name, for your own filters")
    send.add_argument("--secret", help="sign with it")
    send.add_argument("--signature-style", choices=("body", "timestamp.body"))
    send.add_argument("--header", action="append", metavar="NAME: VALUE", help="header of each attempt (repeatable)")
    send.add_argument("--retry", type=int, help="retries, 0-50 (9)")
    send.add_argument("--timeout", type=float, dest="timeout_seconds", help="seconds for one attempt, 1-900 (30)")
    api.add_options(send)
    send.set_defaults(run=_send)
    emit = verbs.add_parser("emit", help="send an event to every endpoint that listens for it")
    emit.add_argument("event")
    emit.add_argument("payload", nargs="?", help="any JSON ({})")
    api.add_options(emit)
    emit.set_defaults(run=_emit)
    listing = verbs.add_parser("list", help="list deliveries")
    listing.add_argument("--state", choices=delivered.STATES)
    listing.add_argument("--event", help="only of this event")
    listing.add_argument("--endpoint", metavar="ID", dest="endpoint_id", help="only to this endpoint")
    listing.add_argument("--since", metavar="ISO")
    listing.add_argument("--until", metavar="ISO")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(listing)
    listing.set_defaults(run=_list)
    for verb, what in (
        ("get", "show a delivery with its attempts"),
        ("attempts", "list the attempts of a delivery"),
        ("cancel", "try a delivery no more"),
    ):
        one = verbs.add_parser(verb, help=what)
        one.add_argument("id", help="the delivery's id")
        api.add_options(one)
        one.set_defaults(run={"get": _get, "attempts": _attempts, "cancel": _cancel}[verb])
    replay = verbs.add_parser("replay", help="send a delivery that is over once more, or many by status and time")
    replay.add_argument("id", nargs="?", help="the delivery's id; without one, all that match")
    replay.add_argument("--status", choices=("failed", "delivered", "cancelled"), help="how they ended (failed)")
    replay.add_argument("--event", help="only of this event")
    replay.add_argument("--endpoint", metavar="ID", dest="endpoint_id", help="only to this endpoint")
    replay.add_argument("--since", metavar="ISO")
    replay.add_argument("--until", metavar="ISO")
    replay.add_argument("--limit", type=int, help="at most so many, the oldest first (1000)")
    replay.add_argument("--dry-run", action="store_true", help="count them only")
    replay.add_argument("--new-id", action="store_true", help="under ids of their own")
    api.add_options(replay)
    replay.set_defaults(run=_replay)
    endpoints.register(verbs)


def _payload(args: argparse.Namespace) -> dict[str, Any]:
    if args.payload is None:
        return {}
    try:
        return {"payload": json.loads(args.payload)}
    except ValueError as error:
        raise Invalid(f"payload is not JSON: {error}", hint="""Quote it: '{"n": 1}'.""", field="payload") from None


def _path(verb: str, public: str) -> str:
    return f"/v1/webhook/{verb}/{quote(public, safe='')}"


def _send(args: argparse.Namespace) -> int:
    given = {name: getattr(args, name) for name in ("event", "secret", "signature_style", "retry", "timeout_seconds")}
    body = {"url": args.target} | {name: value for name, value in given.items() if value is not None}
    sent = api.call(args, "POST", "/v1/webhook/send", body | _payload(args) | delivered.headers_of(args.header))
    return _said(args, sent, f"{sent['state']} {sent['id']}")


def _emit(args: argparse.Namespace) -> int:
    event = api.call(args, "POST", "/v1/webhook/emit", {"event": args.event} | _payload(args))
    return _said(args, event, f"emitted {event['id']} to {event['deliveries']} endpoints")


def _said(args: argparse.Namespace, answer: dict[str, Any], line: str) -> int:
    if args.json:
        show.as_json(answer)
    else:
        print(line)
    return 0


def _list(args: argparse.Namespace) -> int:
    query = {name: getattr(args, name) for name in ("state", "event", "endpoint_id", "since", "until")}
    return delivered.table(args, api.pages(args, "/v1/webhook/list", query, args.limit))


def _get(args: argparse.Namespace) -> int:
    found = api.call(args, "GET", _path("get", args.id))
    if args.json:
        show.as_json(found)
        return 0
    show.record(found, _FIELDS)
    print()
    return _table(found["attempts"])


def _attempts(args: argparse.Namespace) -> int:
    found = api.call(args, "GET", _path("attempts", args.id))
    if args.json:
        show.as_json(found)
        return 0
    return _table(found["items"])


def _table(attempts: list[dict[str, Any]]) -> int:
    show.table(
        ("attempt", "began", "ended", "status", "error"),
        (
            (
                one["attempt"],
                show.local(one["started_at"]),
                show.local(one["finished_at"]),
                one["response_status"],
                one["error"],
            )
            for one in attempts
        ),
        "no attempts yet",
    )
    return 0


def _cancel(args: argparse.Namespace) -> int:
    stopped = api.call(args, "POST", _path("cancel", args.id))
    return _said(args, stopped, f"{stopped['state']} {stopped['id']}")


def _replay(args: argparse.Namespace) -> int:
    new_id = {"new_id": True} if args.new_id else {}
    if args.id is not None:
        again = api.call(args, "POST", _path("replay", args.id), new_id)
        return _said(args, again, f"{again['state']} {again['id']}, again what {args.id} was")
    names = ("status", "event", "endpoint_id", "since", "until", "limit")
    body = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    many = api.call(args, "POST", "/v1/webhook/replay", body | new_id | {"dry_run": args.dry_run})
    if args.dry_run:
        return _said(args, many, f"{many['count']} deliveries match")
    return _said(args, many, f"sent {many['replayed']} again" + ("; others match still" if many["more"] else ""))
