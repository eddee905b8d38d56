"""`token`: JSON-RPC tokens, through the server while one runs on the store, else straight on it."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib import error, request

from mainspring.cli import api, show
from mainspring.cli.keys import either
from mainspring.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from mainspring.core.audit import Note
    from mainspring.core.permissions import Limit
    from mainspring.core.ports import Core

ALL = '[{"scopes":["global"],"permissions":[{"crontab":"read"}]}]'


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `token`."""
    noun = nouns.add_parser("token", help="JSON-RPC tokens")
    verbs = noun.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = verbs.add_parser("create", help="make a token; it is shown once")
    create.add_argument("--limits", default=ALL, help=f"JSON, or @FILE with it (default: {ALL})")
    create.add_argument("--username", help="a name to use with a password, which is asked for")
    create.add_argument("--from", dest="valid_from", metavar="ISO", help="the instant from which it is valid")
    create.add_argument("--until", dest="valid_until", metavar="ISO", help="the last instant at which it is valid")
    create.set_defaults(run=_create)
    listing = verbs.add_parser("list", help="list tokens without their secrets")
    listing.set_defaults(run=_list)
    edit = verbs.add_parser("edit", help="replace a token's limits")
    edit.add_argument("target", help="its key or username")
    edit.add_argument("--limits", required=True, help="JSON, or @FILE with it")
    edit.set_defaults(run=_edit)
    delete = verbs.add_parser("delete", help="delete a token at once")
    delete.add_argument("target", help="its key or username")
    delete.set_defaults(run=_delete)
    for parser in (create, listing, edit, delete):
        api.add_options(parser)
        parser.add_argument("--data", type=Path, default=Path("mainspring-data"), help="data directory of the store")


def _create(args: argparse.Namespace) -> int:
    limits, window = _limits(args.limits), (_instant(args.valid_from, "--from"), _instant(args.valid_until, "--until"))
    password = _password() if args.username else None
    creation = {
        "token_limit": limits,
        "username": args.username,
        "password": password,
        "timestamp_from": window[0],
        "timestamp_to": window[1],
    }

    async def straight(core: Core) -> Any:
        from mainspring.core import access, passwords

        hashed = None if password is None else passwords.hashed(password, os.urandom(passwords.SALT_BYTES))
        wanted = access.NewToken(_read(limits), args.username, hashed, *window)
        note = _note(core, "token_create", args.username or "")
        key, secret = await access.create(core, args.clock(), wanted, os.urandom(access.DICE_BYTES), note)
        return {"key": key, "secret": secret}

    made = either(args, lambda: _call(args, "token_create", father_token=..., token_creation=creation), straight)
    if args.json:
        show.as_json(made)
    else:
        print(f"{made['key']}:{made['secret']}")
        print("(this is the only time the secret is shown)")
    return 0


def _list(args: argparse.Namespace) -> int:
    async def straight(core: Core) -> Any:
        from mainspring.core import access, permissions

        return [
            {
                "token_key": key.lookup,
                "username": key.username,
                "timestamp_from": key.valid_from,
                "timestamp_to": key.valid_until,
                "token_limit": [permissions.shown(one) for one in permissions.from_stored(key.limits or b"[]")],
            }
            for key in await access.everything(core)
        ]

    found = either(args, lambda: _call(args, "token_list_all_tokens", token=...)["tokens"], straight)
    if args.json:
        show.as_json(found)
        return 0
    show.table(
        ("key", "username", "from", "until", "limits"),
        (
            (
                one["token_key"],
                one["username"],
                _shown(one["timestamp_from"]),
                _shown(one["timestamp_to"]),
                json.dumps(one["token_limit"], ensure_ascii=False),
            )
            for one in found
        ),
        "no tokens",
    )
    return 0


def _edit(args: argparse.Namespace) -> int:
    limits = _limits(args.limits)

    async def straight(core: Core) -> Any:
        from mainspring.core import access

        note = _note(core, "token_edit", args.target)
        found = await access.edit(core, args.clock(), args.target, _read(limits), note)
        return {"success": True, "id": found.number, "token_key": found.lookup}

    def remote() -> Any:
        return _call(args, "token_edit", token=..., target_token=args.target, limit=limits)

    return _done(args, either(args, remote, straight), "edited")


def _delete(args: argparse.Namespace) -> int:
    async def straight(core: Core) -> Any:
        from mainspring.core import access

        found_by = await access.delete(core, args.clock(), args.target, _note(core, "token_delete", args.target))
        return {"message": f"Token {args.target} deleted", "rows_affected": 1, "matched_by": found_by}

    def remote() -> Any:
        return _call(args, "token_delete", token=..., target_token=args.target)

    return _done(args, either(args, remote, straight), "deleted")


def _done(args: argparse.Namespace, answer: Any, what: str) -> int:
    if args.json:
        show.as_json(answer)
    else:
        print(f"{what} {show.clean(args.target)}")
    return 0


def _call(args: argparse.Namespace, method: str, **params: Any) -> Any:
    """The result of one call; `...` among the parameters stands for the super token. Raises `Failed`, `Unavailable`."""
    url, _ = api.address(args)
    token = _super_token(args)
    if token is None:
        raise Unavailable(
            "the super token is not known here",
            hint="Set MAINSPRING_SUPER_TOKEN, or name the server's data directory with --data.",
        )
    said = {name: token if value is ... else value for name, value in params.items() if value is not None}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": said}).encode()
    if not url.startswith(("http://", "https://")):
        raise api.Failed(f"{url} is not an http(s) address", hint="Write it like http://127.0.0.1:8080.")
    asked = request.Request(url + "/", data=body, headers={"Content-Type": "application/json"})  # noqa: S310  # checked above
    try:
        with request.build_opener(request.ProxyHandler({})).open(asked, timeout=60) as reply:
            answer = json.loads(reply.read())
    except error.HTTPError as refused:
        raise api.Failed(f"the server answered HTTP {refused.code}", hint="Is it a mainspring server?") from None
    except (OSError, ValueError) as failure:
        raise Unavailable(f"no server answers at {url}: {failure}", hint="Start one, or set MAINSPRING_URL.") from None
    if "error" in answer:
        raise api.Failed(answer["error"]["message"])
    return answer["result"]


def _super_token(args: argparse.Namespace) -> str | None:
    if given := os.environ.get("MAINSPRING_SUPER_TOKEN"):
        return given
    try:
        kept = json.loads((args.data / "credentials.json").read_text())
    except (OSError, ValueError):
        return None
    found: str | None = kept.get("super_token")
    return found


def _limits(text: str) -> Any:
    """The JSON of limits. Raises `Invalid` when it is none, or is not about limits."""
    try:
        found = json.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except (OSError, ValueError) as failure:
        raise Invalid(f"--limits is not JSON: {failure}", hint=f"Write it like {ALL}.", field="--limits") from None
    _read(found)
    return found


def _read(limits: Any) -> tuple[Limit, ...]:
    from mainspring.core import permissions

    try:
        return permissions.limits_of(limits)
    except Invalid as wrong:
        raise Invalid(f"--limits: {wrong.message}", hint=f"Write it like {ALL}.", field="--limits") from None


def _instant(text: str | None, flag: str) -> int | None:
    from mainspring.core.instants import parse_iso

    return None if text is None else parse_iso(text, flag)


def _shown(instant: int | None) -> str:
    from mainspring.core.instants import iso

    return show.local(None if instant is None else iso(instant))


def _password() -> str:
    """From the environment, for programs; else asked for at the terminal."""
    return os.environ.get("MAINSPRING_TOKEN_PASSWORD") or getpass.getpass("Password: ")


def _note(core: Core, operation: str, target: str) -> Note:
    """What the audit log says of a command that was given straight on the store."""
    from mainspring.core import audit
    from mainspring.core.tokens import BOOTSTRAP_PROJECT

    mark = partial(core.vault.mark, purpose=audit.PURPOSE)
    operation = f"rpc.{operation}"
    return audit.Note(BOOTSTRAP_PROJECT, 0, "command line", "", operation, (), "", lambda _: target, mark)
