"""`audit`: who changed which setting or right."""

from __future__ import annotations

import argparse

from mainspring.cli import api, show


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `audit`."""
    noun = nouns.add_parser("audit", help="the log of who changed what")
    verbs = noun.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="list changes, newest first")
    listing.add_argument("--project", help="of another project (for keys of the first one)")
    listing.add_argument("--operation", help="of one kind, like cron.update")
    listing.add_argument("--object", metavar="ID", help="of one thing, by its id or name")
    listing.add_argument("--key", metavar="ID", help="with one key")
    listing.add_argument("--since", metavar="ISO", help="made at or after this instant")
    listing.add_argument("--limit", type=int, default=20, help="at most so many (20)")
    api.add_options(listing)
    listing.set_defaults(run=_list)


def _list(args: argparse.Namespace) -> int:
    query = {
        "project_id": args.project,
        "operation": args.operation,
        "object": args.object,
        "key_id": args.key,
        "since": args.since,
    }
    items = api.pages(args, "/v1/account/audit/list", query, args.limit)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("at", "operation", "object", "fields", "key", "from"),
        (
            (
                show.local(item["at"]),
                item["operation"],
                item["object"],
                " ".join(item["fields"]) or "-",
                item["key_shown"],
                item["ip"] or "-",
            )
            for item in items
        ),
        "no changes",
    )
    return 0
