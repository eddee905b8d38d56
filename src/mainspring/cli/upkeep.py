"""`backup`, `restore`, `doctor`: looking after the store."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mainspring.cli import show
from mainspring.core.errors import Conflict, Invalid, Refused
from mainspring.settings import from_process

if TYPE_CHECKING:
    from mainspring.store.postgres import PostgresDb

R = TypeVar("R")


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands for the store."""
    backup = nouns.add_parser("backup", help="copy the store into one file, also while the server runs")
    backup.add_argument("file", type=Path)
    backup.set_defaults(run=_backup)
    restore = nouns.add_parser("restore", help="put a backup in the store's place; the server must be stopped")
    restore.add_argument("file", type=Path)
    restore.set_defaults(run=_restore)
    doctor = nouns.add_parser("doctor", help="look for what is wrong: settings, store, clock, server")
    doctor.set_defaults(run=_doctor)
    for parser in (backup, restore, doctor):
        parser.add_argument("--data", help="data directory (./mainspring-data)")
        parser.add_argument("--json", action="store_true", help="print JSON for programs")


def _database(args: argparse.Namespace) -> Path:
    database = from_process({"DATA": args.data}).database
    if isinstance(database, Path):
        return database
    raise Conflict("this command is for the embedded store", hint="On PostgreSQL use pg_dump and pg_restore.")


def on_shared(url: str, work: Callable[[PostgresDb], Awaitable[R]]) -> R:
    """Do something with the database at a URL and leave it again."""
    from mainspring.store.postgres import PostgresDb

    async def whole() -> R:
        db = PostgresDb(url)
        try:
            await db.open()
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(whole())


def existing(args: argparse.Namespace) -> Path:
    """The file of the embedded store. Raises `Conflict` when there is none."""
    path = _database(args)
    if not path.exists():
        raise Conflict(f"there is no store at {path}", hint="Name its directory with --data.")
    return path


def _backup(args: argparse.Namespace) -> int:
    from mainspring.store.migrate import copy
    from mainspring.store.sqlite import connect

    path = existing(args)
    connection = connect(path, readonly=True)
    copy(connection, args.file)
    connection.close()
    size = args.file.stat().st_size
    if args.json:
        show.as_json({"file": str(args.file), "bytes": size})
    else:
        print(f"backed up {path} to {args.file} ({size / 1_048_576:.1f} MiB)")
        print("keep secret.key with it: stored secrets open with nothing else")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from mainspring.store.migrate import pending
    from mainspring.store.sqlite import FileLock, connect

    path = _database(args)
    if not args.file.exists():
        raise Invalid(f"{args.file} does not exist", hint="Name a file made by `mainspring backup`.", code="USAGE")
    backup = connect(args.file, readonly=True)
    pending(backup)
    [(verdict,)] = backup.execute("PRAGMA quick_check(1)")
    backup.close()
    if verdict != "ok":
        raise Conflict(f"{args.file} is damaged: {verdict}", hint="Use another backup.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(path)
    kept = _put_aside(path)
    draft = path.with_name(path.name + ".restoring")
    shutil.copyfile(args.file, draft)
    like = (kept or path.parent).stat()
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o600)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), like.st_uid, like.st_gid)
    draft.replace(path)
    lock.release()
    if args.json:
        show.as_json({"restored": str(path), "previous": kept and str(kept)})
    else:
        print(f"restored {args.file} to {path}" + (f"; the store before it is {kept}" if kept else ""))
    return 0


def _put_aside(path: Path) -> Path | None:
    """Keep the store that is being replaced, with its write-ahead log folded in."""
    from mainspring.store.sqlite import connect

    if not path.exists():
        return None
    connection = connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    kept = path.with_name(path.name + ".before-restore")
    path.replace(kept)
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    return kept


def _doctor(args: argparse.Namespace) -> int:
    from mainspring.cli import api
    from mainspring.core import zone_data
    from mainspring.store.checkup import Finding, examine, examine_shared
    from mainspring.store.vault import SealedVault

    findings: list[Finding] = []
    settings = from_process({"DATA": args.data})
    findings.append(Finding("time-zone data", zone_data.version()))
    free = shutil.disk_usage(settings.data if settings.data.exists() else Path()).free
    findings.append(
        Finding("free disk space", f"{free / 2**30:.1f} GiB", "less than 1 GiB is left" if free < 2**30 else None)
    )
    secret_key, key_file = settings.secret_key, settings.data / "secret.key"
    if key_file.exists() and key_file.stat().st_mode & 0o077:
        findings.append(Finding("secret.key", oct(key_file.stat().st_mode & 0o777), "others can read it: chmod 600"))
    with contextlib.suppress(OSError):
        secret_key = secret_key or key_file.read_text("ascii").strip()
    vault = SealedVault(secret_key) if secret_key else None
    if isinstance(settings.database, str):
        findings += on_shared(settings.database, partial(examine_shared, vault=vault))
    elif settings.database.exists():
        findings += examine(settings.database, vault)
    else:
        findings.append(Finding("database", "none yet; the first start makes it"))
    try:
        args.url = None
        api.call(args, "GET", "/v1/cron/list", query={"limit": 1})
        findings.append(Finding("server", f"answers at {api.address(args)[0]}"))
    except Refused as refused:
        findings.append(Finding("server", refused.message))
    if args.json:
        show.as_json([{"subject": f.subject, "detail": f.detail, "problem": f.problem} for f in findings])
    else:
        show.table(
            ("", "subject", "detail", "problem"),
            (("!" if f.problem else "✓", f.subject, f.detail, f.problem or "") for f in findings),
            "",
        )
    return 1 if any(f.problem for f in findings) else 0
