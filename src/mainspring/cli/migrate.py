"""`migrate`: the store's schema brought up to date, and a whole store moved into another database."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.cli import show
from mainspring.settings import from_process

if TYPE_CHECKING:
    from mainspring.store.move import Copied, Plan, Step
    from mainspring.store.moved import Arriving
    from mainspring.store.places import Place

Where = Path | str

_EPILOG = """\
moving a store, with every server on it stopped:
  mainspring migrate --from sqlite:/var/lib/mainspring/mainspring.db --to postgresql://user@host/database
  mainspring migrate --from postgresql://user@host/database --to sqlite:/var/lib/mainspring/mainspring.db
Interrupted, it goes on when it is run again. Afterwards no server starts on the old store, unless the move is undone:
  mainspring migrate --undo --from sqlite:/var/lib/mainspring/mainspring.db
"""
_CANARY = "canary"
_LINE_MS = 5_000
_REDRAW_MS = 100


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `migrate`."""
    migrate = nouns.add_parser(
        "migrate",
        help="bring the store's schema up to date (serve does it by itself), or move a store to another database",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    migrate.add_argument("--from", dest="source", metavar="URL", help="move this store: sqlite:PATH or postgresql://…")
    migrate.add_argument("--to", metavar="URL", help="into this empty or not yet existing one")
    migrate.add_argument("--undo", action="store_true", help="take up again the store that was moved away (--from)")
    migrate.add_argument("--dry-run", action="store_true", help="only say what would be done")
    migrate.add_argument("--data", help="data directory (./mainspring-data)")
    migrate.add_argument("--json", action="store_true", help="print JSON for programs")
    migrate.set_defaults(run=_migrate, wrong=migrate.error)


def _migrate(args: argparse.Namespace) -> int:
    if args.source is None and args.to is None and not args.undo:
        return _schema(args)
    if args.source is None or (args.to is None) != args.undo or (args.undo and args.dry_run):
        args.wrong("say --from and --to, or --undo and --from")
    source = _where(args, args.source)
    try:
        return asyncio.run(_undo(args, source) if args.undo else _move(args, source, _where(args, args.to)))
    except KeyboardInterrupt:
        print("mainspring: interrupted; the same command goes on from here", file=sys.stderr)
        return 1


def _schema(args: argparse.Namespace) -> int:
    from mainspring.cli.upkeep import existing, on_shared
    from mainspring.store.migrate import migrate, migrate_shared, pending, pending_shared
    from mainspring.store.sqlite import FileLock, connect

    url = from_process({"DATA": args.data}).database
    if isinstance(url, str):
        todo = on_shared(url, pending_shared if args.dry_run else lambda db: migrate_shared(db, args.clock(), print))
        return _report(args, [f"{migration.number:04d} {migration.name}" for migration in todo])
    path = existing(args)
    if args.dry_run:
        connection = connect(path, readonly=True)
        todo = pending(connection)
    else:
        lock = FileLock(path)
        connection = connect(path)
        todo = migrate(connection, path, args.clock(), print)
        lock.release()
    connection.close()
    return _report(args, [f"{migration.number:04d} {migration.name}" for migration in todo])


def _report(args: argparse.Namespace, names: list[str]) -> int:
    if args.json:
        show.as_json({"applied": not args.dry_run, "migrations": names})
    elif not names:
        print("the schema is up to date")
    else:
        print(("would apply: " if args.dry_run else "applied: ") + ", ".join(names))
    return 0


def _where(args: argparse.Namespace, url: str) -> Where:
    """A store as --from and --to name it."""
    found = from_process({"DATA": args.data, "DATABASE": url}).database
    return found.resolve() if isinstance(found, Path) else found


async def _undo(args: argparse.Namespace, source: Where) -> int:
    from mainspring.store import move
    from mainspring.store.places import opened

    async with opened(source, args.clock()) as place:
        to = await move.undo(place)
        shown = place.shown
    if args.json:
        show.as_json({"taken_up_again": shown, "copy": to})
    else:
        print(f"servers start on {shown} again")
        print(f"what is in {to} has the same jobs: never start a server on it, remove it")
    return 0


async def _move(args: argparse.Namespace, source: Where, target: Where) -> int:
    from mainspring.store import move
    from mainspring.store.moved import named
    from mainspring.store.places import is_blank, opened

    if source == target:
        args.wrong("--from and --to name the same store")
    began = args.clock()
    async with opened(source, began, look=args.dry_run) as old:
        key = await _secret_key(args, source, old)
        what = await move.plan(old, nul_kept=isinstance(target, Path), look=args.dry_run)
        if args.dry_run and await is_blank(target):
            return _foretell(args, old.shown, named(target), what, None)
        async with opened(target, began, say=_say, make=not args.dry_run, look=args.dry_run) as new:
            earlier = await move.check(old, new, what)
            if args.dry_run:
                return _foretell(args, old.shown, new.shown, what, earlier)
            _say(f"{'going on with' if earlier else 'moving'} {old.shown} to {new.shown}")
            progress = Progress(args.clock)
            token = os.urandom(8).hex()
            copied = await move.move(old, new, what, earlier, now=began, token=token, report=progress)
            progress.close()
            if key is not None:
                await _check_key(key, new)
            _told(args, old.shown, new.shown, copied, args.clock() - began, resumed=earlier is not None)
    if not args.json:
        _say_what_is_next(source, named(target), checked=key is not None)
    return 0


async def _secret_key(args: argparse.Namespace, source: Where, old: Place) -> str | None:
    """The key that the new store is to be opened with, if it is at hand. Raises `Conflict` when it is not the right
    one: better now than when the servers start."""
    from mainspring.keyring import SECRET_KEY

    settings = from_process({"DATA": args.data})
    beside = (source.parent if isinstance(source, Path) else settings.data) / SECRET_KEY
    key = settings.secret_key
    if key is None and isinstance(source, Path) and beside.exists():
        key = beside.read_text("ascii").strip()
    if key is not None:
        await _check_key(key, old)
    return key


async def _check_key(key: str, place: Place) -> None:
    from mainspring.store.vault import SealedVault

    if (sealed := await place.get(_CANARY)) is not None:
        SealedVault(key).unseal(bytes.fromhex(sealed), _CANARY)


def _foretell(args: argparse.Namespace, old: str, new: str, what: Plan, earlier: Arriving | None) -> int:
    if args.json:
        done = sum(earlier.rows.values()) if earlier else 0
        show.as_json({"moved": False, "from": old, "to": new, "rows": what.rows, "rows_copied_earlier": done})
        return 0
    show.table(("table", "rows"), [(name, f"{count:,}") for name, count in what.rows.items() if count], "")
    print(f"would copy {sum(what.rows.values()):,} rows from {old} to {new}")
    if earlier:
        print(f"of them an interrupted move has copied {sum(earlier.rows.values()):,}; it would be gone on with")
    return 0


def _told(args: argparse.Namespace, old: str, new: str, copied: list[Copied], ms: int, *, resumed: bool) -> None:
    rows = sum(one.rows for one in copied)
    if args.json:
        tables = {one.table: {"rows": one.rows, "sha256": one.sha256} for one in copied}
        show.as_json(
            {"moved": True, "from": old, "to": new, "resumed": resumed, "rows": rows, "ms": ms, "tables": tables}
        )
        return
    some = [(one.table, f"{one.rows:,}", one.sha256) for one in copied if one.rows]
    show.table(("table", "rows", "sha-256 on either side"), some, "")
    print(f"moved {rows:,} rows from {old} to {new}; counts and checksums agree")


def _say_what_is_next(source: Where, new: str, *, checked: bool) -> None:
    beside = f"{source.parent}/" if isinstance(source, Path) else ""
    same = "the one of before" + ("; it opens the copy" if checked else ", or the copy does not open")
    print("The old store stays as it was, but no server starts on it any more. Start the server with")
    print(f"  MAINSPRING_DATABASE    {new}")
    print(f"  MAINSPRING_SECRET_KEY  {same}" + (f" (unless you had set one: {beside}secret.key)" if beside else ""))
    print("  MAINSPRING_API_KEY     the one of before" + (f" (or: {beside}credentials.json)" if beside else ""))


class Progress:
    """How far it is, on standard error: one line drawn anew on a terminal, else a line every few seconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._drawn = sys.stderr.isatty()
        self._stage = ""
        self._began = self._shown = clock()
        self._first = self._done = 0

    def __call__(self, step: Step) -> None:
        now = self._clock()
        if step.stage != self._stage:
            if self._stage:
                self.close()
            self._stage, self._began, self._first = step.stage, now, step.done
        elif self._done == step.total or (
            step.done < step.total and now - self._shown < (_REDRAW_MS if self._drawn else _LINE_MS)
        ):
            return
        self._shown, self._done = now, step.done
        line = f"mainspring: {told(step, self._first, now - self._began)}"
        print(f"\r{line:<100}" if self._drawn else line, end="" if self._drawn else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line."""
        if self._drawn:
            print(file=sys.stderr, flush=True)


def told(step: Step, first: int, ms: int) -> str:
    """A step in words: rows, percent, rate, time left. `first`: rows already there `ms` ago."""
    share = 100 * step.done // step.total if step.total else 100
    if not step.table:
        return step.stage
    text = f"{step.stage} {step.table}: {step.done:,} of {step.total:,} rows, {share} %"
    rate = (step.done - first) * 1000 / ms if ms else 0
    if rate:
        left = round((step.total - step.done) / rate)
        text += f", {rate:,.0f} rows/s, {left // 60}:{left % 60:02d} left"
    return text


def _say(message: str) -> None:
    print(f"mainspring: {message}", file=sys.stderr, flush=True)
