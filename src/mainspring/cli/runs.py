"""`run`: what ran, and how it went."""

from __future__ import annotations

import argparse

from mainspring.cli import api, show

_STATES = ("queued", "running", "retrying", "succeeded", "failed", "cancelled")
_FIELDS = (
    "run_id",
    "cron_id",
    "trigger",
    "state",
    "scheduled_for",
    "started_at",
    "finished_at",
    "attempt",
    "lateness_ms",
    "response_status",
    "response_body",
    "error",
)


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `run`."""
    noun = nouns.add_parser("run", help="runs of cron jobs and tasks")
    verbs = noun.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="list runs, newest first")
    listing.add_argument("--cron", metavar="ID", help="of one cron job")
    listing.add_argument("--state", choices=_STATES)
    listing.add_argument("--since", metavar="ISO", help="made at or after this instant")
    listing.add_argument("--until", metavar="ISO", help="made before this instant")
    listing.add_argument("--limit", type=int, default=20, help="at most so many (20)")
    api.add_options(listing)
    listing.set_defaults(run=_list)
    get = verbs.add_parser("get", help="show one run with its attempts")
    get.add_argument("id")
    api.add_options(get)
    get.set_defaults(run=_get)
    replay = verbs.add_parser("replay", help="run a run that is over once more, as it was")
    replay.add_argument("id")
    api.add_options(replay)
    replay.set_defaults(run=_replay)


def _list(args: argparse.Namespace) -> int:
    query = {"cron_id": args.cron, "state": args.state, "since": args.since, "until": args.until}
    items = api.pages(args, "/v1/scheduling/run/list", query, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("run", "due", "late", "state", "try", "status", "job", "error"),
        (
            (
                item["run_id"],
                show.local(item["scheduled_for"]),
                "-" if item.get("lateness_ms") is None else f"{item['lateness_ms']} ms",
                item["state"],
                item["attempt"],
                item.get("response_status"),
                item["cron_id"],
                (item.get("error") or "")[:60],
            )
            for item in items
        ),
        "no runs",
    )
    return 0


def _get(args: argparse.Namespace) -> int:
    run = api.call(args, "GET", f"/v1/scheduling/run/get/{args.id}")
    if args.json:
        show.as_json(run)
        return 0
    show.record(run, _FIELDS)
    if run.get("attempts"):
        print()
        show.table(
            ("attempt", "started", "ended", "status", "error"),
            (
                (
                    each["attempt"],
                    show.local(each["started_at"]),
                    show.local(each["finished_at"]),
                    each["response_status"],
                    each["error"],
                )
                for each in run["attempts"]
            ),
            "",
        )
    return 0


def _replay(args: argparse.Namespace) -> int:
    run = api.call(args, "POST", f"/v1/scheduling/run/replay/{args.id}")
    if args.json:
        show.as_json(run)
    else:
        print(f"{run['run_id']} is {run['state']}, a replay of {args.id}")
    return 0
