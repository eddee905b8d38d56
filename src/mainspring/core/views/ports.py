"""All views of the store, by noun."""

from __future__ import annotations

from typing import Protocol

from mainspring.core.views.overview import OverviewViews
from mainspring.core.views.queues import QueueViews
from mainspring.core.views.runs import RunViews
from mainspring.core.views.schedules import ScheduleViews
from mainspring.core.views.webhooks import WebhookViews


class Views(Protocol):
    """What people look at."""

    @property
    def overview(self) -> OverviewViews: ...

    @property
    def schedules(self) -> ScheduleViews: ...

    @property
    def runs(self) -> RunViews: ...

    @property
    def queues(self) -> QueueViews: ...

    @property
    def webhooks(self) -> WebhookViews: ...
