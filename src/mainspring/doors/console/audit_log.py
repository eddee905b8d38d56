"""The audit log, and whether its chain is whole."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from mainspring.core import audit, ids
from mainspring.core.audit import Chain
from mainspring.core.errors import Invalid, NotFound
from mainspring.doors.console.routing import Page
from mainspring.doors.console.settings_rights import only_admins
from mainspring.doors.console.visit import Visit

FILTERS = ("operation", "object", "key_id", "since")
CHUNK = 1_000
CHECKED_MAX = 100_000
# What the store calls where the chain begins.
_ANCHOR = "audit_anchor"


async def page(visit: Visit) -> Response:
    """Newest first."""
    query = {name: value.strip() for name in (*FILTERS, "cursor") if (value := visit.query.get(name, ""))}
    fault = None
    try:
        found = await visit.call("account.audit.list", query={k: v for k, v in query.items() if v})
    except (Invalid, NotFound) as invalid:
        fault = invalid
        found = await visit.call("account.audit.list")
    return visit.show(
        "audit_log.html",
        200 if fault is None else 422,
        entries=found.items,
        next_cursor=None if fault else found.next_cursor,
        filters=query,
        fault=fault,
        own=ids.text("key", visit.principal.key_id),
    )


async def check(visit: Visit) -> Response:
    """Follow the chain from where it begins."""
    only_admins(visit)
    store = visit.core.store
    mark = partial(visit.core.vault.mark, purpose=audit.PURPOSE)
    # Before the entries are read: those written meanwhile are none that could be missing.
    written = await store.views.settings.written()
    chain = Chain(audit.opened_anchor(await store.upkeep.get_meta(_ANCHOR), mark), mark)
    while chain.entries < CHECKED_MAX and (found := await store.views.settings.follow(chain.last.number, CHUNK)):
        chain.follow(found)
    whole = chain.entries < CHECKED_MAX
    if whole:
        chain.end(written)
    return visit.show("audit_chain.html", chain=chain, whole=whole, last=chain.last.hash.hex()[:16])


PAGES = (
    Page("GET", "/settings/audit", page),
    Page("GET", "/settings/audit/chain", check),
)
