"""The audit log, read."""

from __future__ import annotations

from msgspec import UNSET

from mainspring.core import ids
from mainspring.core.audit import Asked, AuditEntry
from mainspring.core.instants import iso, parse_iso
from mainspring.doors.rest.account import project_of
from mainspring.doors.rest.calls import Call, cut, page_of, row_key
from mainspring.doors.rest.cursors import Listing
from mainspring.doors.rest.requests import AuditQuery, Nothing
from mainspring.doors.rest.results import AuditPage, AuditRecord


async def page(call: Call[Nothing, AuditQuery]) -> AuditPage:
    """Who changed what in a project, newest first."""
    query = call.query
    asked = page_of(query, Listing.AUDIT, 1)
    found = await call.core.store.audit.page(
        Asked(
            project=project_of(call, query.project_id),
            before=asked.before[0] if asked.before else ids.KEY_MAX,
            limit=asked.limit,
            since=0 if query.since is UNSET else parse_iso(query.since, "since"),
            operation=None if query.operation is UNSET else query.operation,
            object=None if query.object is UNSET else query.object,
            key_id=None if query.key_id is UNSET else row_key("key", query.key_id),
        )
    )
    rows, following = cut(found, query, Listing.AUDIT, lambda entry: (entry.number,))
    return AuditPage([_record(entry) for entry in rows], following)


def _record(entry: AuditEntry) -> AuditRecord:
    return AuditRecord(
        id=ids.text("aud", entry.number),
        at=iso(entry.at),
        project_id=entry.project,
        operation=entry.operation,
        object=entry.object,
        fields=entry.fields,
        key_id=ids.text("key", entry.key_id) if entry.key_id else None,
        key_shown=entry.shown,
        ip=entry.ip,
        request_id=entry.request_id,
        hash=entry.hash.hex(),
    )
