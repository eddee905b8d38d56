"""Which deliveries a list is about: filters as they stand in addresses, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import msgspec

from mainspring.core import ids
from mainspring.core.webhooks_model import RUN_STATE_OF, DeliveryFilter, DeliveryState
from mainspring.doors.console.run_query import moments
from mainspring.doors.console.visit import Visit, one_of

STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)
TEXTS = ("queued", "sending", "retrying", "delivered", "failed", "cancelled")
_NAMES = ("state", "event", "endpoint_id", "since", "until")
# No endpoint has this key.
_NONE = -1


class Asked(msgspec.Struct, frozen=True):
    """What somebody asked for. `query`: how the address says it; `faults`: by field, what cannot be read."""

    filters: DeliveryFilter
    query: Mapping[str, str]
    faults: Mapping[str, str]


def asked_of(visit: Visit, given: Mapping[str, str]) -> Asked:
    """The filters in the address."""
    query = {name: given[name].strip() for name in _NAMES if given.get(name, "").strip()}
    since, until, faults = moments(visit, query)
    state = one_of(query.get("state"), STATES)
    endpoint_id = None
    if "endpoint_id" in query:
        endpoint_id = ids.key_of("wh", query["endpoint_id"]) or _NONE
    filters = DeliveryFilter(
        state=None if state is None else RUN_STATE_OF[state],
        event=query.get("event"),
        endpoint_id=endpoint_id,
        since=since,
        until=until,
    )
    return Asked(filters, query, faults)
