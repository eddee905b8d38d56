"""`task`: one-shot calls at an instant."""

from __future__ import annotations

import argparse

from mainspring.cli import api, show
from mainspring.cli.crons import job_body


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `task`."""
    noun = nouns.add_parser("task", help="one-shot tasks")
    verbs = noun.add_subparsers(dest="verb", metavar="VERB", required=True)
    schedule = verbs.add_parser("schedule", help="call a URL once at an instant")
    schedule.add_argument("run_at", metavar="ISO", help="when, like 2026-12-24T18:00:00+01:00")
    schedule.add_argument("task", metavar="URL", help="where to call")
    schedule.add_argument("--name")
    schedule.add_argument("--method", help="POST, GET, PUT, PATCH or DELETE (POST)")
    schedule.add_argument("--payload", help="JSON body")
    schedule.add_argument("--header", action="append", metavar="NAME: VALUE")
    schedule.add_argument("--retry", type=int)
    schedule.add_argument("--timeout", type=float, dest="timeout_seconds")
    api.add_options(schedule)
    schedule.set_defaults(run=_schedule)
    listing = verbs.add_parser("list", help="list tasks, newest first")
    listing.add_argument("--limit", type=int, default=50)
    api.add_options(listing)
    listing.set_defaults(run=_list)
    for verb, what in (("get", "show one task"), ("cancel", "it never fires")):
        one = verbs.add_parser(verb, help=what)
        one.add_argument("id")
        api.add_options(one)
        one.set_defaults(run=_one)


def _schedule(args: argparse.Namespace) -> int:
    body = {"task": args.task, "run_at": args.run_at, **job_body(args)}
    task = api.call(args, "POST", "/v1/scheduling/task/schedule", body)
    if args.json:
        show.as_json(task)
    else:
        print(f"scheduled {task['task_id']} for {show.local(task['run_at'])}")
    return 0


def _list(args: argparse.Namespace) -> int:
    items = api.pages(args, "/v1/scheduling/task/list", {}, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("task", "when", "state", "calls"),
        ((item["task_id"], show.local(item["run_at"]), item["state"], item["task"]) for item in items),
        "no tasks",
    )
    return 0


def _one(args: argparse.Namespace) -> int:
    method = "DELETE" if args.verb == "cancel" else "GET"
    task = api.call(args, method, f"/v1/scheduling/task/{args.verb}/{args.id}")
    if args.json:
        show.as_json(task)
    else:
        show.record(task, ("task_id", "name", "task", "run_at", "state"))
    return 0
