"""`cron`: expressions without a server (next, explain, validate), and the server's cron jobs."""

from __future__ import annotations

import argparse
import json
from typing import Any

from mainspring.cli import api, cron_local, show
from mainspring.core.errors import Invalid

_FIELDS = (
    "id",
    "name",
    "cron_expr",
    "run_at",
    "timezone",
    "dialect",
    "task",
    "method",
    "enabled",
    "next_run_at",
    "last_run_at",
    "last_state",
    "run_count",
    "max_runs",
    "retry",
    "timeout_seconds",
    "overlap_policy",
    "catchup",
    "payload",
    "headers",
    "on_failure_webhook",
    "retention_days",
    "created_at",
)


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cron`."""
    noun = nouns.add_parser("cron", help="cron expressions and cron jobs")
    verbs = noun.add_subparsers(dest="verb", metavar="VERB", required=True)
    cron_local.register(verbs)
    create = verbs.add_parser("create", help="create a cron job")
    create.add_argument("expr", help='cron expression like "0 9 * * 1-5"')
    create.add_argument("task", metavar="URL", help="where to call")
    _add_job_options(create)
    create.set_defaults(run=_create)
    update = verbs.add_parser("update", help="change a cron job")
    update.add_argument("id")
    update.add_argument("--expr", help="new cron expression")
    update.add_argument("--task", metavar="URL", help="new address to call")
    _add_job_options(update)
    update.set_defaults(run=_update)
    listing = verbs.add_parser("list", help="list cron jobs")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(listing)
    listing.set_defaults(run=_list)
    for verb, what in (
        ("get", "show one cron job"),
        ("pause", "stop firing until resumed"),
        ("resume", "fire again"),
        ("delete", "delete a cron job for good"),
    ):
        one = verbs.add_parser(verb, help=what)
        one.add_argument("id")
        api.add_options(one)
        one.set_defaults(run=_one)
    trigger = verbs.add_parser("trigger", help="run now")
    trigger.add_argument("id")
    trigger.add_argument("--payload", help="JSON body for this run only")
    api.add_options(trigger)
    trigger.set_defaults(run=_trigger)
    ledger = verbs.add_parser("occurrences", help="what became of every due instant")
    ledger.add_argument("id")
    ledger.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    api.add_options(ledger)
    ledger.set_defaults(run=_occurrences)


def _add_job_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name")
    parser.add_argument("--timezone", help="IANA zone (UTC)")
    parser.add_argument("--dialect", help="standard, nodeget, go-crontab or quartz (standard)")
    parser.add_argument("--method", help="POST, GET, PUT, PATCH or DELETE (POST)")
    parser.add_argument("--payload", help="JSON body of each call")
    parser.add_argument("--header", action="append", metavar="NAME: VALUE", help="header of each call (repeatable)")
    parser.add_argument("--retry", type=int, help="retries after a failed attempt, 0-10 (3)")
    parser.add_argument("--timeout", type=float, dest="timeout_seconds", help="seconds for one attempt, 1-900 (300)")
    parser.add_argument("--overlap", dest="overlap_policy", choices=("allow", "skip", "queue"))
    parser.add_argument("--catchup", choices=("latest", "skip", "all"))
    parser.add_argument("--max-runs", type=int)
    parser.add_argument("--on-failure-webhook", metavar="URL")
    api.add_options(parser)


def job_body(args: argparse.Namespace) -> dict[str, Any]:
    """The request body for the options given."""
    names = ("name", "timezone", "dialect", "method", "retry", "timeout_seconds", "overlap_policy", "catchup")
    body = {name: getattr(args, name, None) for name in (*names, "max_runs", "on_failure_webhook")}
    if args.payload is not None:
        body["payload"] = parse_payload(args.payload)
    if args.header:
        pairs = (line.partition(":") for line in args.header)
        body["headers"] = {name.strip(): value.strip() for name, _, value in pairs}
    return {name: value for name, value in body.items() if value is not None}


def parse_payload(text: str) -> Any:
    """JSON from the command line. Raises `Invalid`."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise Invalid(f"--payload is not JSON: {error}", hint="""Quote it like '{"n": 1}'.""", code="USAGE") from None


def _create(args: argparse.Namespace) -> int:
    body = {"cron_expr": args.expr, "task": args.task, **job_body(args)}
    made = api.call(args, "POST", "/v1/cron/create", body)
    if args.json:
        show.as_json(made)
    else:
        print(f"created {made['id']}: {show.clean(made['name'])}, next run {show.local(made['next_run_at'])}")
    return 0


def _update(args: argparse.Namespace) -> int:
    body = job_body(args)
    body.update({name: value for name, value in (("cron_expr", args.expr), ("task", args.task)) if value})
    return _shown(args, api.call(args, "PATCH", f"/v1/cron/update/{args.id}", body))


def _list(args: argparse.Namespace) -> int:
    items = api.pages(args, "/v1/cron/list", {}, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("id", "name", "when", "next run", "last", "calls"),
        (
            (
                item["id"],
                item["name"],
                item["cron_expr"] or show.local(item["run_at"]),
                show.local(item["next_run_at"]) if item["enabled"] else "done" if item["completed_at"] else "paused",
                item["last_state"],
                item["task"],
            )
            for item in items
        ),
        'no cron jobs; create one with: mainspring cron create "*/5 * * * *" https://example.com/hook',
    )
    return 0


def _one(args: argparse.Namespace) -> int:
    verb = args.verb
    method = {"get": "GET", "delete": "DELETE"}.get(verb, "POST")
    answer = api.call(args, method, f"/v1/cron/{verb}/{args.id}")
    if args.json or verb == "get":
        return _shown(args, answer)
    done = {"pause": "paused", "resume": "resumed", "delete": "deleted"}[verb]
    due = f", next run {show.local(answer.get('next_run_at'))}" if verb == "resume" else ""
    print(f"{done} {args.id}{due}")
    return 0


def _trigger(args: argparse.Namespace) -> int:
    body = {} if args.payload is None else {"payload": parse_payload(args.payload)}
    run = api.call(args, "POST", f"/v1/cron/trigger/{args.id}", body)
    if args.json:
        show.as_json(run)
    else:
        print(f"{run['state']} {run['run_id']}; see it with: mainspring run get {run['run_id']}")
    return 0


def _occurrences(args: argparse.Namespace) -> int:
    items = api.pages(args, f"/v1/cron/occurrences/list/{args.id}", {}, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("instant", "outcome", "until", "count", "run or reason"),
        (
            (
                show.local(item["scheduled_for"]),
                item["outcome"],
                show.local(item.get("to")),
                item.get("count") or 1,
                item.get("run_id") or item.get("reason"),
            )
            for item in items
        ),
        "nothing was due yet",
    )
    return 0


def _shown(args: argparse.Namespace, item: dict[str, Any]) -> int:
    if args.json:
        show.as_json(item)
    else:
        show.record(item, _FIELDS)
    return 0
