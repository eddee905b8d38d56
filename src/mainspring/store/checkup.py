"""Is a database sound? Read-only, also while a server uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.core.errors import Refused
from mainspring.store.migrate import pending, pending_shared
from mainspring.store.sqlite import connect

if TYPE_CHECKING:
    from mainspring.store.postgres import PostgresDb


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


def examine(path: Path) -> list[Finding]:
    """What a look at the file shows."""
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
    finally:
        connection.close()
    return findings


async def examine_shared(db: PostgresDb) -> list[Finding]:
    """What a look at the tables on PostgreSQL shows."""
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
    finally:
        await connection.close()
    return findings


def _counted(subject: str, count: int) -> Finding:
    return Finding(subject, str(count), "please report it with this output" if count else None)
