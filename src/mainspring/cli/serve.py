"""`serve` and `dev`: the server, and the server for a person at a terminal."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.settings import SETTINGS, Settings, from_process

if TYPE_CHECKING:
    from mainspring.app import Server

_PORTS_TRIED = 50


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `serve` and `dev`."""
    serve = nouns.add_parser(
        "serve",
        help="run the server",
        description="Run the server. Every option is also MAINSPRING_<NAME> in the environment or a key of "
        "mainspring.toml; options win over the environment, the environment over the file.",
    )
    _add_settings(serve)
    serve.set_defaults(run=_serve)
    dev = nouns.add_parser(
        "dev",
        help="run a server to try things out: loopback only, everything printed",
        description="Run a server for a person at a terminal: embedded store in ./mainspring-data, loopback only, "
        "loopback targets allowed, next free port if 8080 is taken. Prints the address, the key and commands to try.",
    )
    _add_settings(dev)
    dev.add_argument("--temp", action="store_true", help="keep nothing: a store that goes when the server stops")
    dev.set_defaults(run=_dev)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: mainspring.toml if there)")
    for setting in SETTINGS:
        if setting.secret:
            continue
        default = f"default {setting.default}" if setting.default else "not set"
        parser.add_argument(
            "--" + setting.name.lower().replace("_", "-"),
            dest="set_" + setting.name,
            metavar=setting.unit.upper().replace(" ", "-") or "VALUE",
            action="append" if setting.kind == "list" else "store",
            help=f"{setting.meaning} ({default}{'; ' + setting.bound if setting.bound else ''})".replace("%", "%%"),
        )


def _flags(args: argparse.Namespace) -> dict[str, str | None]:
    flags = {}
    for setting in SETTINGS:
        value = getattr(args, "set_" + setting.name, None)
        flags[setting.name] = ",".join(value) if isinstance(value, list) else value
    return flags


def _serve(args: argparse.Namespace) -> int:
    from mainspring import app
    from mainspring.settings import check_to_serve

    settings = from_process(_flags(args), file=args.config)
    check_to_serve(settings)
    if settings.workers > 1:
        return _serve_with_workers(settings)
    app.run(settings, say=_say, started=_started)
    return 0


def _started(server: Server) -> None:
    from mainspring import keyring
    from mainspring.doors.sockets import url_of

    for host, port in server.addresses:
        _say(f"listening on {url_of(host, port)}")
    if server.secrets.generated:
        _say(f"the API key is in {server.settings.data / keyring.CREDENTIALS}, the super token too")
    elif server.secrets.api_key is None:
        _say(
            f"another node made the API key: it is in {keyring.CREDENTIALS} there, and valid here too. To choose one, "
            "set MAINSPRING_API_KEY to the same value on every node"
        )


def _serve_with_workers(settings: Settings) -> int:
    """Each worker binds the port for itself; it is held here, without listening, so that none can lose it."""
    import msgspec

    from mainspring import app
    from mainspring.cli.workers import Workers
    from mainspring.core.errors import Refused
    from mainspring.doors import sockets
    from mainspring.keyring import Credentials, prepare, write_credentials

    sockets.close(sockets.bind(settings.binds))  # refused where somebody listens, other workers among them
    held = sockets.bind(settings.binds, beside_others=True)
    settings = msgspec.structs.replace(settings, binds=tuple(sockets.addresses(held)))
    secrets = prepare(settings)
    if secrets.generated or secrets.super_generated:  # all of them offer these
        offered = (
            secrets.api_key if secrets.generated else None,
            secrets.super_token if secrets.super_generated else None,
        )
        write_credentials(settings.data, Credentials(sockets.url_of(*settings.binds[0]), *offered))

    def work(life: int, up: Callable[[], None]) -> int:
        from mainspring.cli.main import refused_code

        def started(server: Server) -> None:
            up()
            _started(server)

        try:
            app.run(settings, say=_say, started=started, life=life)
        except Refused as refused:
            return refused_code(refused, "serve")
        return 0

    try:
        return Workers(settings.workers, work).run()
    finally:
        sockets.close(held)


def _dev(args: argparse.Namespace) -> int:
    from mainspring import app
    from mainspring.core.errors import Conflict

    flags = _flags(args)
    temp = tempfile.mkdtemp(prefix="mainspring-") if args.temp else None
    if temp is not None:
        flags["DATA"] = temp
    base = from_process(flags, dev=True, file=args.config)
    print("mainspring: starting …", flush=True)
    try:
        for settings in _ports(base, pinned=flags["PORT"] is not None or flags["BIND"] is not None):
            try:
                app.run(settings, say=_say, started=_welcome, echo=_echo)
            except Conflict as refused:
                if not refused.message.startswith("cannot listen") or settings.binds[0][1] == 0:
                    raise
                continue
            return 0
    finally:
        if temp is not None:
            shutil.rmtree(temp, ignore_errors=True)
    raise Conflict("no free port found", hint="Choose one with --port.")


def _ports(base: Settings, *, pinned: bool) -> list[Settings]:
    """The settings with the port asked for, then with the next ones (one asked for by hand is the only one)."""
    import msgspec

    if pinned:
        return [base]
    host, port = base.binds[0]
    tries = [*range(port, min(65_536, port + _PORTS_TRIED)), 0]
    return [msgspec.structs.replace(base, binds=((host, each),)) for each in tries]


def _welcome(server: Server) -> None:
    from mainspring.doors.sockets import url_of

    host, port = server.addresses[0]
    url, key = url_of(host, port), server.secrets.api_key or "<the key that another node made>"
    console = f"{url}{server.sign_in_path}"
    command = _command()
    body = json.dumps({"cron_expr": "*/5 * * * * *", "task": f"{url}/dev/echo", "name": "hello", "payload": {"n": 1}})
    print(
        f"""
  Mainspring is running at {url}      (Ctrl-C stops it; data in {server.settings.data})

  export MAINSPRING_URL={url}
  export MAINSPRING_API_KEY={key}

  The console (this link signs in once; after that, use the key):

    {console}

  A job every 5 seconds, to this server's own /dev/echo, which shows here what arrives:

    curl -X POST {url}/v1/cron/create \\
      -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
      -d '{body}'

  See it, see its runs, stop it:

    {command} cron list
    {command} run list
    {command} cron delete <id>

  API: {url}/docs · {url}/openapi.json · {url}/metrics
""",
        flush=True,
    )


def _command() -> str:
    """What to type for `mainspring` in this shell: the name if it is on the path, else where the command lies."""
    if shutil.which("mainspring"):
        return "mainspring"
    return shlex.quote(os.path.relpath(sys.argv[0])) if sys.argv[0].endswith("/mainspring") else "python3 -m mainspring"


def _echo(method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    from mainspring.cli.show import clean

    run = headers.get("x-mainspring-run-id")
    line: dict[str, Any] = {"attempt": headers.get("x-mainspring-attempt"), "run": run} if run else {}
    text = body[:400].decode("utf-8", "replace")
    told = "  ".join(f"{name} {value}" for name, value in line.items())
    print(clean(f"  → {method} {path}  {text}  {told}"), flush=True)


def _say(message: str) -> None:
    print(f"mainspring: {message}", file=sys.stderr, flush=True)
