"""`webhook endpoint`: where the events of a project go."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from mainspring.cli import api, delivered, show

_BASE = "/v1/account/webhooks/"
_FIELDS = (
    "id",
    "url",
    "events",
    "description",
    "state",
    "disabled_reason",
    "failing_since",
    "failures_in_a_row",
    "resting_until",
    "headers",
    "signature_style",
    "retry_policy",
    "timeout_seconds",
    "max_concurrency",
    "rate_limit",
    "ordered",
    "previous_secret_valid_until",
    "created_at",
    "updated_at",
)


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `endpoint` to the verbs of `webhook`."""
    endpoint = verbs.add_parser("endpoint", help="where events go")
    actions = endpoint.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("register", help="make an endpoint; its secret is printed once")
    new.add_argument("target", metavar="URL")
    new.add_argument("--secret", help="sign with it (one is made)")
    _add_settings(new)
    new.set_defaults(run=_register)
    update = actions.add_parser("update", help="change an endpoint")
    update.add_argument("id")
    update.add_argument("--to", dest="target", metavar="URL", help="another address")
    switch = update.add_mutually_exclusive_group()
    switch.add_argument("--enable", action="store_const", const=True, dest="enabled", help="switch it on again")
    switch.add_argument("--disable", action="store_const", const=False, dest="enabled", help="send nothing there")
    _add_settings(update)
    update.set_defaults(run=_update)
    listing = actions.add_parser("list", help="list endpoints")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(listing)
    listing.set_defaults(run=_list)
    for action, what, run in (
        ("get", "show an endpoint and how it is doing", _get),
        ("delete", "send nothing there any more", _delete),
        ("test", "send it an event of the type test", _test),
    ):
        one = actions.add_parser(action, help=what)
        one.add_argument("id")
        api.add_options(one)
        one.set_defaults(run=run)
    rotate = actions.add_parser("rotate", help="give it a new secret, which is printed once")
    rotate.add_argument("id")
    rotate.add_argument("--grace-hours", type=float, help="hours for which the old one signs as well (24)")
    api.add_options(rotate)
    rotate.set_defaults(run=_rotate)
    recover = actions.add_parser("recover", help="send once more what failed since an instant")
    recover.add_argument("id")
    recover.add_argument("since", metavar="ISO")
    api.add_options(recover)
    recover.set_defaults(run=_recover)
    log = actions.add_parser("deliveries", help="list what was sent there")
    log.add_argument("id")
    log.add_argument("--state", choices=delivered.STATES)
    log.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(log)
    log.set_defaults(run=_log)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--event", action="append", dest="events", metavar="FILTER", help="a name, prefix.* or * (*)")
    parser.add_argument("--description", help="for people")
    parser.add_argument("--signature-style", choices=("body", "timestamp.body"))
    parser.add_argument("--header", action="append", metavar="NAME: VALUE", help="header of each attempt (repeatable)")
    parser.add_argument("--max-attempts", type=int, help="attempts of each delivery, 1-51 (10)")
    parser.add_argument("--timeout", type=float, dest="timeout_seconds", help="seconds for one attempt, 1-900 (30)")
    parser.add_argument("--max-concurrency", type=int, help="deliveries in flight at a time, 1-100 (8)")
    parser.add_argument("--rate-limit", type=float, help="attempts per second (none)")
    parser.add_argument("--ordered", action=argparse.BooleanOptionalAction, help="one at a time, in order")
    api.add_options(parser)


def _body(args: argparse.Namespace) -> dict[str, Any]:
    names = ("events", "description", "signature_style", "timeout_seconds", "max_concurrency", "rate_limit", "ordered")
    given = {name: getattr(args, name, None) for name in (*names, "secret", "enabled")}
    given["url"] = args.target
    if args.max_attempts is not None:
        given["retry_policy"] = {"max_attempts": args.max_attempts}
    return {name: value for name, value in given.items() if value is not None} | delivered.headers_of(args.header)


def _call(args: argparse.Namespace, method: str, verb: str, body: dict[str, Any] | None = None) -> Any:
    return api.call(args, method, f"{_BASE}{verb}/{quote(args.id, safe='')}", body)


def _shown(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    if args.json:
        show.as_json(answer)
        return 0
    show.record(answer, ("secret", *_FIELDS) if "secret" in answer else _FIELDS)
    return 0


def _register(args: argparse.Namespace) -> int:
    return _shown(args, api.call(args, "POST", _BASE + "register", _body(args)))


def _update(args: argparse.Namespace) -> int:
    return _shown(args, _call(args, "PATCH", "update", _body(args)))


def _get(args: argparse.Namespace) -> int:
    return _shown(args, _call(args, "GET", "get"))


def _list(args: argparse.Namespace) -> int:
    items = api.pages(args, _BASE + "list", {}, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("id", "url", "events", "state", "failures", "until or why"),
        (
            (
                item["id"],
                item["url"],
                " ".join(item["events"]),
                item["state"],
                item["failures_in_a_row"],
                item["disabled_reason"] or show.local(item["resting_until"]),
            )
            for item in items
        ),
        "no endpoints; make one with: mainspring webhook endpoint register https://example.com/hook",
    )
    return 0


def _line(args: argparse.Namespace, answer: dict[str, Any], line: str) -> int:
    if args.json:
        show.as_json(answer)
    else:
        print(line)
    return 0


def _delete(args: argparse.Namespace) -> int:
    return _line(args, _call(args, "DELETE", "delete"), f"deleted {args.id}")


def _test(args: argparse.Namespace) -> int:
    event = _call(args, "POST", "test")
    return _line(
        args, event, f"queued {event['delivery_ids'][0]}; see: mainspring webhook get {event['delivery_ids'][0]}"
    )


def _rotate(args: argparse.Namespace) -> int:
    return _shown(args, _call(args, "POST", "rotate", {"grace_hours": args.grace_hours}))


def _recover(args: argparse.Namespace) -> int:
    again = _call(args, "POST", "recover", {"since": args.since})
    return _line(args, again, f"sent {again['replayed']} again" + ("; others match still" if again["more"] else ""))


def _log(args: argparse.Namespace) -> int:
    path = f"{_BASE}deliveries/{quote(args.id, safe='')}"
    return delivered.table(args, api.pages(args, path, {"state": args.state}, args.limit))
