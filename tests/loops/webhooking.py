"""Webhooks in the rig: endpoints, deliveries, and what their receivers were told."""

from __future__ import annotations

import json
from typing import Any

from loops.rig import Rig
from mainspring.core import ids, webhooks, webhooks_endpoints
from mainspring.core.limits import SECOND
from mainspring.core.model import Page
from mainspring.core.ports import Request
from mainspring.core.webhooks import RetryDraft, TargetDraft
from mainspring.core.webhooks_endpoints import EndpointDraft
from mainspring.core.webhooks_model import Delivery, DeliveryFilter, Emitted, EndpointEntry, Replayed
from store.making import PROJECT

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVERYTHING = DeliveryFilter()


class Hooks:
    """Endpoints and deliveries of one project in a rig."""

    def __init__(self, rig: Rig, project: str = PROJECT) -> None:
        self.rig = rig
        self.core = rig.bench.core
        self.project = project

    async def endpoint(self, host: str, *, retry: RetryDraft | None = None, **fields: Any) -> EndpointEntry:
        """An endpoint at http://HOST/hook."""
        target = TargetDraft(url=f"http://{host}/hook", retry=retry)
        draft = EndpointDraft(target, **fields)
        made = await webhooks_endpoints.register(self.core, self.rig.clock(), self.project, draft, SECRET, None)
        assert isinstance(made, EndpointEntry)
        return made

    async def now(self, made: EndpointEntry) -> EndpointEntry:
        return await webhooks_endpoints.get(self.core, self.project, made.endpoint.id)

    async def update(self, made: EndpointEntry, target: TargetDraft | None = None, **fields: Any) -> None:
        draft = EndpointDraft(target or TargetDraft(), **fields)
        await webhooks_endpoints.update(self.core, self.rig.clock(), self.project, made.endpoint.id, draft, None)

    async def send(self, host: str, payload: bytes = b'{"n":1}', retry: RetryDraft | None = None) -> int:
        """A delivery to a host that is no endpoint; its id."""
        target = TargetDraft(url=f"http://{host}/hook", retry=retry)
        made = await webhooks.send(self.core, self.project, target, payload, None, None)
        assert isinstance(made, Delivery)
        return made.run.id

    async def emit(self, event: str = "order.paid", data: bytes = b'{"n":1}') -> list[int]:
        """An event; the ids of its deliveries."""
        made = await webhooks.emit(self.core, self.project, event, data, None)
        assert isinstance(made, Emitted)
        return list(made.deliveries)

    async def state(self, delivery_id: int) -> str:
        return (await webhooks.get(self.core, self.project, delivery_id)).delivery.state

    async def states(self, delivery_ids: list[int]) -> list[str]:
        return [await self.state(one) for one in delivery_ids]

    async def error(self, delivery_id: int) -> str | None:
        return (await webhooks.get(self.core, self.project, delivery_id)).delivery.run.error

    async def attempts(self, delivery_id: int) -> list[tuple[int, int | None]]:
        """(number, status) of those that have ended."""
        found = await webhooks.get(self.core, self.project, delivery_id)
        return [(one.attempt, one.status) for one in found.attempts]

    async def all(self, wanted: DeliveryFilter = EVERYTHING) -> list[Delivery]:
        """Oldest first."""
        return (await webhooks.page(self.core, self.project, wanted, Page(limit=500)))[::-1]

    async def replay(self, delivery_id: int, *, new_id: bool = False) -> int:
        made = await webhooks.replay(self.core, self.project, delivery_id, None, new_id=new_id)
        assert isinstance(made, Replayed)
        return made.deliveries[0].run.id

    async def pass_time(self, seconds: float) -> None:
        """The clock goes on, and what has come due is sent."""
        self.rig.clock.advance(round(seconds * SECOND))
        await self.rig.dispatch()

    def to(self, host: str) -> list[Request]:
        """What a host was sent, in order."""
        return [one for one in self.rig.targets.requests if one.url.startswith(f"http://{host}/")]

    def told(self, host: str) -> list[dict[str, Any]]:
        """The bodies a host was sent."""
        return [json.loads(one.body) for one in self.to(host)]


def public(delivery_id: int) -> str:
    return ids.text("dlv", delivery_id)


def header(request: Request, name: str) -> str:
    return dict(request.headers)[name]
