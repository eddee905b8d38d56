"""Reads about webhooks for the screens."""

from __future__ import annotations

from typing import Any

from mainspring.core.ids import KEY_MAX, floor_of
from mainspring.core.model import FINAL_STATES
from mainspring.core.views.runs import LOOKED_MAX
from mainspring.core.views.webhooks import Count, DeliveryRow, DeliveryRows, EndpointRow, EndpointRows, LastDelivery
from mainspring.core.webhooks_model import DeliveryFilter, EndpointState
from mainspring.store.db import Db, Row
from mainspring.store.views.runs import containing, look
from mainspring.store.webhooks_events import filters_of

_LAST = 13


class WebhookViewStore:
    """One method, one read."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def endpoints(
        self, project: str, now: int, state: EndpointState | None, text: str, before: int | None, limit: int
    ) -> EndpointRows:
        """Newest first, those with the text in their URL or description, in any case of its letters."""
        found = await self._db.scan(
            "view_endpoints",
            project=project,
            now=now,
            state=state,
            pattern=containing(text),
            before=KEY_MAX if before is None else before,
            limit=limit + 1,
        )
        rows = tuple(_endpoint(row) for row in found[:limit])
        return EndpointRows(rows, rows[-1].id if len(found) > limit else None)

    async def deliveries(self, project: str, wanted: DeliveryFilter, before: int | None, limit: int) -> DeliveryRows:
        """Newest first. Looks at no more than 10,000 deliveries."""
        asked = _where(project, wanted, before)
        pending = wanted.state is not None and wanted.state not in FINAL_STATES
        if pending and wanted.endpoint_id is None:
            [(count,)] = await self._db.scan("view_count_pending", most=LOOKED_MAX)
            if count < LOOKED_MAX:
                return _page(await self._db.scan("view_pending_deliveries", **asked, limit=limit + 1), limit, None)
        source, chooses = "view_deliveries", wanted.state is not None or wanted.event is not None
        if wanted.endpoint_id is not None:
            source = "view_deliveries_of"
        elif wanted.state == "failed":
            source, chooses = "view_failed_deliveries", wanted.event is not None
        found, ended = await look(self._db, source, asked, ("before",), limit + 1, chooses=chooses)
        return _page(found, limit, None if ended is None else ended[0])

    async def replayable(self, project: str, wanted: DeliveryFilter) -> Count:
        """How many deliveries of one endpoint a replay of these would send."""
        asked = _where(project, wanted, None)
        [(count, looked)] = await self._db.scan("view_count_replayable", **asked, most=LOOKED_MAX)
        return Count(count, exact=looked < LOOKED_MAX)


def _where(project: str, wanted: DeliveryFilter, before: int | None) -> dict[str, Any]:
    last = KEY_MAX if wanted.until is None else floor_of(wanted.until)
    asked: dict[str, Any] = {
        "project": project,
        "state": wanted.state,
        "event": wanted.event,
        "since": floor_of(wanted.since),
        "before": last if before is None else min(last, before),
    }
    return asked if wanted.endpoint_id is None else asked | {"endpoint_id": wanted.endpoint_id}


def _page(found: list[Row], limit: int, ended: int | None) -> DeliveryRows:
    rows = tuple(DeliveryRow(*row) for row in found[:limit])
    return DeliveryRows(rows, rows[-1].id if len(found) > limit else ended, short=ended is not None)


def _endpoint(row: Row) -> EndpointRow:
    cells = [*row[:_LAST], None if row[_LAST] is None else LastDelivery(*row[_LAST:])]
    cells[2], cells[_LAST - 1] = filters_of(row[2]), bool(row[_LAST - 1])
    return EndpointRow(*cells)
