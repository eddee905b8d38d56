"""Endpoints in the store: registered, changed, read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from mainspring.core.changes import Stale
from mainspring.core.errors import Conflict, Refused
from mainspring.core.idempotency import Replay
from mainspring.core.ids import KEY_MAX, KeySource
from mainspring.core.limits import ENDPOINTS_MAX
from mainspring.core.model import Page
from mainspring.core.webhooks_model import Circuit, CircuitEnd, Endpoint, EndpointChange, EndpointEntry, NewEndpoint
from mainspring.store import rows
from mainspring.store.db import Db, Row, Tx, again_after_collisions
from mainspring.store.horizon import Horizon
from mainspring.store.once import apply_once
from mainspring.store.webhooks_events import Announcer, filters_of
from mainspring.store.webhooks_gates import Gates, circuit_of

_ENDPOINT_WIDTH = 15
_TARGET_WIDTH = 14


class EndpointStore:
    """One method, one transaction."""

    def __init__(self, db: Db, keys: KeySource, horizon: Horizon, gates: Gates, announcer: Announcer) -> None:
        self._db = db
        self._keys = keys
        self._horizon = horizon
        self._gates = gates
        self._announcer = announcer

    @again_after_collisions
    async def register(self, now: int, items: Sequence[NewEndpoint]) -> Sequence[EndpointEntry | Replay | Refused]:
        """Insert endpoints with their targets and circuits."""
        async with self._db.transaction() as tx:

            async def insert(fresh: Sequence[NewEndpoint]) -> list[EndpointEntry | Refused]:
                await tx.fetch("take_numbers", name="endpoints", count=len(fresh))
                return [await self._register(tx, now, item) for item in fresh]

            made = await apply_once(tx, now, items, lambda item: item.once, insert)
        self._forget(items)
        return made

    async def _register(self, tx: Tx, now: int, item: NewEndpoint) -> EndpointEntry | Refused:
        endpoint = item.endpoint
        [(count,)] = await tx.fetch("count_endpoints", project=endpoint.project)
        if count >= ENDPOINTS_MAX:
            return Conflict(f"this project has {count} endpoints", hint="Delete one that is not needed any more.")
        endpoint_id, target_id = self._keys.take(now, 2)
        await tx.many("insert_targets", [(target_id, *rows.of_target(item.target, None)[1:])])
        row = (
            endpoint_id,
            endpoint.project,
            target_id,
            _text(endpoint.events),
            endpoint.description,
            endpoint.max_concurrency,
            endpoint.rate_milli,
            int(endpoint.ordered),
            endpoint.disabled_at,
            endpoint.disabled_because,
        )
        await tx.many("insert_endpoints", [row], now=now)
        room, ordered, rate = endpoint.max_concurrency, int(endpoint.ordered), endpoint.rate_milli
        gate = (endpoint_id, endpoint.project, None, room, ordered, rate, _end_of(endpoint))
        await tx.many("insert_circuits", [gate], now=now)
        [found] = await tx.fetch_in("get_endpoints", [(endpoint_id,)])
        return entry_of(found)

    @again_after_collisions
    async def change(
        self, now: int, items: Sequence[EndpointChange]
    ) -> Sequence[EndpointEntry | Stale | Replay | Refused]:
        """Apply edits; those whose version has moved on come back stale."""
        async with self._db.transaction() as tx:

            async def edit(fresh: Sequence[EndpointChange]) -> list[EndpointEntry | Stale | Refused]:
                await tx.fetch("take_numbers", name="endpoints", count=len(fresh))
                return [await self._change(tx, now, item) for item in fresh]

            changed = await apply_once(tx, now, items, lambda item: item.once, edit)
        self._forget([item.entry for item in items])
        return changed

    async def _change(self, tx: Tx, now: int, item: EndpointChange) -> EndpointEntry | Stale:
        endpoint, seen = item.endpoint, item.entry.endpoint
        held = await self._gates.take(tx, {endpoint.id})
        if item.target is not None:
            endpoint = replace(endpoint, target_id=self._keys.next(now))
        if not held or not await tx.many("update_endpoints", [_row(endpoint, seen.version)], now=now):
            return Stale()
        if item.target is not None:
            await tx.many("insert_targets", [(endpoint.target_id, *rows.of_target(item.target, None)[1:])])
            await tx.fetch("replace_target", id=seen.target_id, now=now)
        await self._gates.pass_on(tx, now, [_circuit(held[0], item, endpoint)], below=self._horizon.key)
        [found] = await tx.fetch_in("get_endpoints", [(endpoint.id,)])
        if item.delete:
            await tx.fetch("delete_endpoint", id=endpoint.id, now=now)
        return entry_of(found)

    async def get(self, project: str, endpoint_id: int) -> EndpointEntry | None:
        found = await self._db.read_in("get_endpoints", [(endpoint_id,)])
        if not found or (entry := entry_of(found[0])).endpoint.project != project:
            return None
        return entry

    async def was_deleted(self, project: str, endpoint_id: int) -> bool:
        return bool(await self._db.read("was_endpoint_deleted", id=endpoint_id, project=project))

    async def page(self, project: str, page: Page) -> list[EndpointEntry]:
        """Newest first."""
        before = KEY_MAX if page.before is None else page.before[0]
        found = await self._db.scan("page_endpoints", project=project, before=before, limit=page.limit)
        return [entry_of(row) for row in found]

    def _forget(self, items: Sequence[NewEndpoint | EndpointEntry]) -> None:
        for item in items:
            self._announcer.forget(item.endpoint.project)


def entry_of(row: Row) -> EndpointEntry:
    """An endpoint with its target and its circuit, from `endpoint_columns`."""
    end = _ENDPOINT_WIDTH + _TARGET_WIDTH
    endpoint = Endpoint(*(*row[:3], filters_of(row[3]), *row[4:7], bool(row[7]), *row[8:_ENDPOINT_WIDTH]))
    return EndpointEntry(endpoint, rows.target(row[_ENDPOINT_WIDTH:end]), circuit_of(row[end:]))


def _circuit(circuit: Circuit, item: EndpointChange, endpoint: Endpoint) -> Circuit:
    """The circuit after an edit; another address, or a new beginning, begins with a clean record."""
    circuit = replace(circuit, room=endpoint.max_concurrency, ordered=endpoint.ordered, rate_milli=endpoint.rate_milli)
    moved = item.target is not None and item.target.address != item.entry.target.address
    if item.enable or moved:
        circuit = replace(circuit, trusted=False, streak=0, last_failed=None, failing_since=None)
        circuit = replace(circuit, open_until=0, hold_until=0)
    if item.delete:
        return replace(circuit, ended="deleted")
    return replace(circuit, ended=_end_of(endpoint))


def _end_of(endpoint: Endpoint) -> CircuitEnd | None:
    return None if endpoint.disabled_at is None else "disabled"


def _row(endpoint: Endpoint, seen: int) -> Row:
    return (
        endpoint.id,
        seen,
        endpoint.target_id,
        _text(endpoint.events),
        endpoint.description,
        endpoint.max_concurrency,
        endpoint.rate_milli,
        int(endpoint.ordered),
        endpoint.earlier,
        endpoint.earlier_until,
        endpoint.disabled_at,
        endpoint.disabled_because,
    )


def _text(filters: Sequence[str]) -> str:
    return msgspec.json.encode(filters).decode()
