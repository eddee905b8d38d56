"""Is a database sound? Read-only, also while a server uses it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.core.audit import PURPOSE, Chain, opened_anchor
from mainspring.core.errors import Refused
from mainspring.store.audit import ANCHOR, from_row
from mainspring.store.db import Row
from mainspring.store.migrate import pending, pending_shared
from mainspring.store.sqlfile import load
from mainspring.store.sqlite import Connection, connect
from mainspring.store.vault import SealedVault, opens

if TYPE_CHECKING:
    from mainspring.store.postgres import PostgresDb

CHUNK = 1_000


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; `problem` is None when it is as it should be."""

    subject: str
    detail: str
    problem: str | None = None


_QUESTIONS = (
    (
        "schedules without their timer",
        "SELECT count(*) FROM schedules WHERE id NOT IN (SELECT schedule_id FROM progress)",
    ),
    (
        "schedules without their target",
        "SELECT count(*) FROM schedules WHERE target_id NOT IN (SELECT id FROM targets)",
    ),
    (
        "runs marked running without a lease",
        "SELECT count(*) FROM runs WHERE state = 'running' AND lease_until IS NULL",
    ),
    (
        "schedules that miscount their unfinished runs",
        """SELECT count(*) FROM progress AS p WHERE p.active + p.held <>
           (SELECT count(*) FROM runs AS r WHERE r.schedule_id = p.schedule_id
            AND r.state IN ('queued', 'running', 'retrying'))""",
    ),
)


def examine(path: Path, vault: SealedVault | None = None) -> list[Finding]:
    """What a look at the file shows. `vault`: to check what is sealed, too."""
    findings = []
    connection = connect(path, readonly=True)
    try:
        size = path.stat().st_size
        findings.append(Finding("database", f"{path}, {size / 1_048_576:.1f} MiB"))
        try:
            waiting = pending(connection)
        except Refused as refused:
            return [*findings, Finding("schema", refused.message, refused.hint)]
        if waiting:
            return [*findings, Finding("schema", f"{len(waiting)} migrations pending", "run `mainspring migrate`")]
        findings.append(Finding("schema", "up to date"))
        [(verdict,)] = connection.execute("PRAGMA quick_check(1)")
        findings.append(Finding("file", "sound", None) if verdict == "ok" else Finding("file", "damaged", str(verdict)))
        for subject, question in _QUESTIONS:
            [(count,)] = connection.execute(question)
            findings.append(_counted(subject, count))
        findings += _sealed_in_file(connection, vault)
    finally:
        connection.close()
    return findings


async def examine_shared(db: PostgresDb, vault: SealedVault | None = None) -> list[Finding]:
    """What a look at the tables on PostgreSQL shows. `vault`: to check what is sealed, too."""
    [(version, size)] = await db.read("describe_database")
    findings = [Finding("database", f"PostgreSQL {version}, {size / 1_048_576:.1f} MiB")]
    try:
        waiting = await pending_shared(db)
    except Refused as refused:
        return [*findings, Finding("schema", refused.message, refused.hint)]
    if waiting:
        return [*findings, Finding("schema", f"{len(waiting)} migrations pending", "run `mainspring migrate`")]
    findings.append(Finding("schema", "up to date"))
    connection = await db.connect({})
    try:
        for subject, question in _QUESTIONS:
            findings.append(_counted(subject, await connection.fetchval(question)))
        findings += await _sealed_in_tables(connection, vault)
    finally:
        await connection.close()
    return findings


def _counted(subject: str, count: int) -> Finding:
    return Finding(subject, str(count), "please report it with this output" if count else None)


def _sealed_in_file(connection: Connection, vault: SealedVault | None) -> list[Finding]:
    """Whether the key is the right one, and nobody without it has changed the audit log."""
    queries = load("sqlite")
    connection.execute("BEGIN")

    def ask(name: str, *values: int | str) -> list[Row]:
        return list(connection.execute(queries[name].text, values))

    canary = ask("get_meta", "canary")
    if vault is None or not canary or not opens(vault, canary[0][0]):
        return [_no_key(vault, served=bool(canary))]
    chain = _chain(vault, ask("get_meta", ANCHOR))
    [(count,)] = ask("count_audit")
    while rows := ask("follow_audit", chain.last.number, CHUNK):
        chain.follow(map(from_row, rows))
    return _followed(chain, count)


async def _sealed_in_tables(connection: Any, vault: SealedVault | None) -> list[Finding]:
    """As `_sealed_in_file`."""
    queries = load("postgres")

    async def ask(name: str, *values: int | str) -> list[Row]:
        return [tuple(row) for row in await connection.fetch(queries[name].text, *values)]

    async with connection.transaction(isolation="repeatable_read", readonly=True):
        canary = await ask("get_meta", "canary")
        if vault is None or not canary or not opens(vault, canary[0][0]):
            return [_no_key(vault, served=bool(canary))]
        chain = _chain(vault, await ask("get_meta", ANCHOR))
        [(count,)] = await ask("count_audit")
        while rows := await ask("follow_audit", chain.last.number, CHUNK):
            chain.follow(map(from_row, rows))
        return _followed(chain, count)


def _chain(vault: SealedVault, anchored: list[Row]) -> Chain:
    mark = partial(vault.mark, purpose=PURPOSE)
    return Chain(opened_anchor(anchored[0][0] if anchored else None, mark), mark)


def _no_key(vault: SealedVault | None, *, served: bool) -> Finding:
    if vault is None:
        return Finding("secret key", "not at hand, so what is sealed and the audit log are not checked")
    if not served:
        return Finding("secret key", "the store has not been served yet")
    return Finding("secret key", "not the one that the store was made with", "set MAINSPRING_SECRET_KEY to that one")


def _followed(chain: Chain, count: int) -> list[Finding]:
    chain.end(count)
    newest = f", the newest is {chain.last.number} {chain.last.hash.hex()[:16]}" if chain.entries else ""
    problem = chain.problem and f"{chain.problem}: compare with a backup"
    return [
        Finding("secret key", "opens the store"),
        Finding("audit log", f"{chain.entries} entries{newest}", problem),
    ]
