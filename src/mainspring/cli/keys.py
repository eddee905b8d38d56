"""`key`: API keys, through the server while one runs on the store, else straight on it."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.cli import api, show
from mainspring.core.errors import Conflict, NotFound, Unavailable
from mainspring.settings import from_process

if TYPE_CHECKING:
    from mainspring.core.audit import Note
    from mainspring.core.ports import Core


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `key`."""
    noun = nouns.add_parser("key", help="API keys")
    verbs = noun.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = verbs.add_parser("create", help="make a key; it is shown once")
    create.add_argument("name")
    create.add_argument("--project", default="default", help="the project it belongs to (default)")
    create.add_argument("--scopes", help="comma-separated, like cron:read,cron:write (default: all but admin)")
    create.add_argument("--expires-at", metavar="ISO", help="the instant at which it ends (default: never)")
    create.set_defaults(run=_create)
    listing = verbs.add_parser("list", help="list keys without their secrets")
    listing.set_defaults(run=_list)
    rotate = verbs.add_parser("rotate", help="make a new key; the old one stays valid for a while")
    rotate.add_argument("id")
    rotate.add_argument("--grace-hours", type=float, default=24, help="hours the old key stays valid, 0-168 (24)")
    rotate.set_defaults(run=_rotate)
    revoke = verbs.add_parser("revoke", help="end a key at once")
    revoke.add_argument("id")
    revoke.set_defaults(run=_revoke)
    for parser in (create, listing, rotate, revoke):
        api.add_options(parser)
        parser.add_argument("--data", type=Path, default=Path("mainspring-data"), help="data directory of the store")


def _create(args: argparse.Namespace) -> int:
    body: dict[str, Any] = {"name": args.name, "project_id": args.project, "expires_at": args.expires_at}
    if args.scopes:
        body["scopes"] = [scope.strip() for scope in args.scopes.split(",")]

    async def straight(core: Core) -> Any:
        from mainspring.core import ids, tokens
        from mainspring.core.idempotency import noted
        from mainspring.core.instants import parse_iso
        from mainspring.core.model import Key

        secret = tokens.new_secret(os.urandom(tokens.SECRET_BYTES))
        scopes = tuple(body.get("scopes") or (scope for scope in tokens.SCOPES if scope != "admin"))
        made = await tokens.create(
            core,
            args.clock(),
            project=args.project,
            name=args.name,
            scopes=scopes,
            valid_until=parse_iso(args.expires_at, "--expires-at") if args.expires_at else None,
            secret=secret,
            once=noted(_note(core, "create", args.project)),
        )
        assert isinstance(made, Key)
        key_id = ids.text("key", made.id)
        return {"key": secret, "key_id": key_id, "id": key_id, "scopes": scopes}

    made = either(args, lambda: api.call(args, "POST", "/v1/account/keys/create", body), straight)
    if args.json:
        show.as_json(made)
    else:
        print(made["key"])
        print(f"(id {made['id']}; this is the only time the key is shown)")
    return 0


def _list(args: argparse.Namespace) -> int:
    async def straight(core: Core) -> Any:
        from mainspring.core import ids, tokens
        from mainspring.core.instants import iso
        from mainspring.core.model import Page

        return [
            {
                "id": ids.text("key", key.id),
                "project_id": key.project,
                "name": key.name,
                "shown": key.shown,
                "scopes": key.scopes,
                "created_at": iso(key.created_at),
                "expires_at": key.valid_until and iso(key.valid_until),
                "last_used_at": key.last_used_at and iso(key.last_used_at),
                "revoked_at": key.revoked_at and iso(key.revoked_at),
            }
            for key in await tokens.page(core, None, Page(500))
        ]

    items = either(args, lambda: api.pages(args, "/v1/account/keys/list", {}, 500), straight)
    if args.json:
        show.as_json(items)
        return 0
    show.table(
        ("id", "project", "name", "key", "scopes", "created", "last used", "expires", "state"),
        (
            (
                item["id"],
                item["project_id"],
                item["name"],
                item["shown"],
                " ".join(item["scopes"]),
                show.local(item["created_at"]),
                show.local(item["last_used_at"]),
                show.local(item["expires_at"]),
                _state(item, args.clock()),
            )
            for item in items
        ),
        "no keys",
    )
    return 0


def _state(item: dict[str, Any], now: int) -> str:
    from mainspring.core.instants import parse_iso

    if item["revoked_at"]:
        return "revoked"
    over = item["expires_at"] and parse_iso(item["expires_at"], "expires_at") < now
    return "expired" if over else "valid"


def _rotate(args: argparse.Namespace) -> int:
    async def straight(core: Core) -> Any:
        from mainspring.core import ids, tokens
        from mainspring.core.idempotency import noted
        from mainspring.core.limits import HOUR
        from mainspring.core.model import Key

        secret = tokens.new_secret(os.urandom(tokens.SECRET_BYTES))
        project, key_id = await _find(core, args.id)
        once = noted(_note(core, "rotate", project, args.id))
        made = await tokens.rotate(core, args.clock(), project, key_id, round(args.grace_hours * HOUR), secret, once)
        assert isinstance(made, Key)
        return {"key": secret, "id": ids.text("key", made.id)}

    body = {"grace_hours": args.grace_hours}
    made = either(args, lambda: api.call(args, "POST", f"/v1/account/keys/rotate/{args.id}", body), straight)
    if args.json:
        show.as_json(made)
    else:
        print(made["key"])
        print(f"(id {made['id']}; the old key is valid for {args.grace_hours:g} hours more)")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    async def straight(core: Core) -> Any:
        from mainspring.core import tokens

        project, key_id = await _find(core, args.id)
        await tokens.revoke(core, args.clock(), project, key_id, _note(core, "revoke", project, args.id))
        return {"id": args.id, "revoked": True}

    done = either(args, lambda: api.call(args, "DELETE", f"/v1/account/keys/revoke/{args.id}"), straight)
    if args.json:
        show.as_json(done)
    else:
        print(f"revoked {args.id}")
    return 0


async def _find(core: Core, public: str) -> tuple[str, int]:
    """The project and row key of a key, whichever project it belongs to."""
    from mainspring.core import ids, tokens
    from mainspring.core.model import Page

    key_id = ids.key_of("key", public)
    for key in await tokens.page(core, None, Page(500)):
        if key.id == key_id:
            return key.project, key.id
    raise NotFound("there is no such key", hint="`mainspring key list` shows them.")


def _note(core: Core, verb: str, project: str, *named: str) -> Note:
    """What the audit log says of a command that was given straight on the store."""
    from mainspring.core import audit, ids
    from mainspring.core.model import Key

    def object_of(result: Any) -> str:
        return "/".join((*named, ids.text("key", result.id)) if isinstance(result, Key) else named)

    mark = partial(core.vault.mark, purpose=audit.PURPOSE)
    return audit.Note(project, 0, "command line", "", f"account.keys.{verb}", (), "", object_of, mark)


def either(args: argparse.Namespace, remote: Callable[[], Any], straight: Callable[[Core], Awaitable[Any]]) -> Any:
    """Through the server; when none answers and the store is free, straight on it."""
    try:
        return remote()
    except Unavailable as away:
        database = from_process({"DATA": str(args.data)}).database
        is_there = not isinstance(database, Path) or database.exists()
        if args.url or os.environ.get("MAINSPRING_URL") or not is_there:
            raise
        try:
            return asyncio.run(_on_store(args, straight))
        except Conflict as busy:
            raise away from busy


async def _on_store(args: argparse.Namespace, work: Callable[[Core], Awaitable[Any]]) -> Any:
    from mainspring.app import offline_core

    async with offline_core(args.data) as core:
        return await work(core)
