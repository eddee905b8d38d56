"""Endpoints: register, change, rotate, test, recover, delete. The same for every door."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.core import ids, limits, webhooks
from mainspring.core.changes import Stale
from mainspring.core.drafts import pick
from mainspring.core.errors import Conflict, Invalid, NotFound
from mainspring.core.expectations import bounded
from mainspring.core.idempotency import Once, Replay
from mainspring.core.limits import HOUR
from mainspring.core.model import Page
from mainspring.core.ports import Core
from mainspring.core.runs import EARLIER_PURPOSE
from mainspring.core.signing import ENCODED_PREFIX, secret_key
from mainspring.core.webhooks import TargetDraft
from mainspring.core.webhooks_events import EVERYTHING, checked_filters
from mainspring.core.webhooks_model import (
    Delivery,
    DeliveryFilter,
    Emission,
    Emitted,
    Endpoint,
    EndpointChange,
    EndpointEntry,
    NewEndpoint,
    Replayed,
)

SECRET_BYTES = 32
BY_HAND = "switched off by hand"
_TRIES = 10
_NEW = Endpoint(
    id=0,
    project="",
    target_id=0,
    events=(EVERYTHING,),
    description="",
    max_concurrency=limits.ENDPOINT_CONCURRENCY_DEFAULT,
    rate_milli=None,
    ordered=False,
    earlier=None,
    earlier_until=None,
    version=1,
    created_at=0,
    updated_at=0,
    disabled_at=None,
    disabled_because=None,
)


class EndpointDraft(msgspec.Struct, frozen=True):
    """An endpoint as somebody describes it. UNSET: as it is; None: the default. `rate_limit`: attempts per second."""

    target: TargetDraft
    events: tuple[str, ...] | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    max_concurrency: int | None | UnsetType = UNSET
    rate_limit: float | None | UnsetType = UNSET
    ordered: bool | None | UnsetType = UNSET
    enabled: bool | None | UnsetType = UNSET


def new_secret(dice: bytes) -> str:
    """A signing secret from 32 random bytes (Standard Webhooks 1.0.0, "Signature scheme")."""
    assert len(dice) == SECRET_BYTES
    return ENCODED_PREFIX + base64.b64encode(dice).decode()


def _edited(draft: EndpointDraft, old: Endpoint, now: int) -> Endpoint:
    """The endpoint after the draft. Raises `Invalid`."""
    events = pick(draft.events, old.events, (EVERYTHING,))
    description = pick(draft.description, old.description, "")
    if len(description) > limits.NAME_CHARS_MAX or "\x00" in description:
        raise Invalid(
            f"description has {len(description)} characters, or a NUL among them",
            hint=f"Use at most {limits.NAME_CHARS_MAX} characters.",
            field="description",
        )
    concurrency = pick(draft.max_concurrency, old.max_concurrency, limits.ENDPOINT_CONCURRENCY_DEFAULT)
    bounded(concurrency, 1, limits.ENDPOINT_CONCURRENCY_MAX, "max_concurrency")
    rate_milli = old.rate_milli
    if draft.rate_limit is None:
        rate_milli = None
    elif draft.rate_limit is not UNSET:
        bounded(draft.rate_limit, 0.001, limits.ENDPOINT_RATE_MAX, "rate_limit")
        rate_milli = round(draft.rate_limit * 1_000)
    disabled_at, because = old.disabled_at, old.disabled_because
    if draft.enabled is False and disabled_at is None:
        disabled_at, because = now, BY_HAND
    elif draft.enabled is True or draft.enabled is None:
        disabled_at, because = None, None
    return msgspec.structs.replace(
        old,
        events=old.events if events == old.events else checked_filters(events),
        description=description,
        max_concurrency=concurrency,
        rate_milli=rate_milli,
        ordered=pick(draft.ordered, old.ordered, False),
        disabled_at=disabled_at,
        disabled_because=because,
    )


async def register(
    core: Core, now: int, project: str, draft: EndpointDraft, secret: str, once: Once | None
) -> EndpointEntry | Replay:
    """Make an endpoint that signs with `secret`. Raises `Invalid`, `Conflict`."""
    target = webhooks.target_of(core, msgspec.structs.replace(draft.target, secret=secret), None)
    endpoint = _edited(draft, msgspec.structs.replace(_NEW, project=project), now)
    return await core.store.webhooks.register(NewEndpoint(endpoint, target, once))


async def get(core: Core, project: str, endpoint_id: int) -> EndpointEntry:
    """One endpoint. Raises `NotFound`."""
    found = await core.store.webhooks.endpoints.get(project, endpoint_id)
    if found is None:
        raise NotFound("there is no such endpoint", hint="List the endpoints to see their ids.")
    return found


async def page(core: Core, project: str, page: Page) -> list[EndpointEntry]:
    """Endpoints of a project, newest first."""
    return await core.store.webhooks.endpoints.page(project, page)


async def _change(
    core: Core, project: str, endpoint_id: int, change: Callable[[EndpointEntry], EndpointChange]
) -> EndpointEntry | Replay:
    for _ in range(_TRIES):
        changed = await core.store.webhooks.change(change(await get(core, project, endpoint_id)))
        if not isinstance(changed, Stale):
            core.wakeup.dispatcher()
            return changed
    raise Conflict("the endpoint was changed again and again meanwhile", hint="Try again.")


async def update(
    core: Core, now: int, project: str, endpoint_id: int, draft: EndpointDraft, once: Once | None
) -> EndpointEntry | Replay:
    """Change what the draft names. Switched on again, it begins anew. Raises `Invalid`, `NotFound`."""

    def change(entry: EndpointEntry) -> EndpointChange:
        target = webhooks.target_of(core, draft.target, entry.target)
        endpoint = _edited(draft, entry.endpoint, now)
        enable = entry.endpoint.disabled_at is not None and endpoint.disabled_at is None
        return EndpointChange(entry, endpoint, None if target == entry.target else target, enable=enable, once=once)

    return await _change(core, project, endpoint_id, change)


async def rotate(
    core: Core, now: int, project: str, endpoint_id: int, secret: str, grace_hours: float | None, once: Once | None
) -> EndpointEntry | Replay:
    """Sign with `secret` from now on, for so many hours with the one before as well. Raises `Invalid`, `NotFound`."""
    hours = limits.SECRET_GRACE_H_DEFAULT if grace_hours is None else grace_hours
    bounded(hours, 0, limits.SECRET_GRACE_H_MAX, "grace_hours")
    secret_key(secret)

    def change(entry: EndpointEntry) -> EndpointChange:
        until = now + round(hours * HOUR)
        valid = [(one, end) for one, end in _earlier(core, entry) if end > now]
        if entry.target.secret is not None and until > now:
            valid.insert(0, (core.vault.unseal(entry.target.secret, "secret").decode(), until))
        valid = valid[: limits.SECRETS_EARLIER_MAX]
        endpoint = msgspec.structs.replace(
            entry.endpoint,
            earlier=core.vault.seal(msgspec.json.encode(valid), EARLIER_PURPOSE) if valid else None,
            earlier_until=max((end for _, end in valid), default=None),
        )
        target = msgspec.structs.replace(entry.target, secret=core.vault.seal(secret.encode(), "secret"))
        return EndpointChange(entry, endpoint, target, once=once)

    return await _change(core, project, endpoint_id, change)


def _earlier(core: Core, entry: EndpointEntry) -> list[tuple[str, int]]:
    if entry.endpoint.earlier is None:
        return []
    plain = core.vault.unseal(entry.endpoint.earlier, EARLIER_PURPOSE)
    return msgspec.json.decode(plain, type=list[tuple[str, int]])


async def delete(core: Core, project: str, endpoint_id: int, once: Once | None) -> EndpointEntry | Replay | None:
    """Send nothing there any more; what waits is cancelled. None when it was deleted before. Raises `NotFound`."""
    try:
        return await _change(
            core, project, endpoint_id, lambda entry: EndpointChange(entry, entry.endpoint, delete=True, once=once)
        )
    except NotFound:
        if await core.store.webhooks.endpoints.was_deleted(project, endpoint_id):
            return None
        raise


async def test(core: Core, project: str, endpoint_id: int, once: Once | None) -> Emitted | Replay:
    """Send an event of the type `test`, whatever the endpoint listens for. Raises `NotFound`, `Conflict`."""
    await _enabled(core, project, endpoint_id)
    data = {"endpoint_id": ids.text("wh", endpoint_id), "message": "It works."}
    emission = Emission(project, "test", msgspec.json.encode(data), only=endpoint_id, once=once)
    made = await core.store.webhooks.emit(emission)
    core.wakeup.dispatcher()
    return made


async def recover(
    core: Core, project: str, endpoint_id: int, since: int, limit: int, once: Once | None
) -> Replayed | Replay:
    """Send once more what was made for it since then and failed, oldest first. Raises `NotFound`, `Conflict`."""
    await _enabled(core, project, endpoint_id)
    wanted = DeliveryFilter(state="failed", endpoint_id=endpoint_id, since=since, unreplayed=True)
    return await webhooks.replay_many(core, project, wanted, limit, once)


async def _enabled(core: Core, project: str, endpoint_id: int) -> None:
    entry = await get(core, project, endpoint_id)
    if entry.endpoint.disabled_at is not None:
        raise Conflict("the endpoint is disabled", hint="Update it with enabled: true first.")


async def deliveries(core: Core, project: str, endpoint_id: int, wanted: DeliveryFilter, page: Page) -> list[Delivery]:
    """What was made for an endpoint, newest first. Raises `NotFound`."""
    await get(core, project, endpoint_id)
    return await webhooks.page(core, project, msgspec.structs.replace(wanted, endpoint_id=endpoint_id), page)
