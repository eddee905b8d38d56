"""All views of the store, by noun."""

from __future__ import annotations

from typing import Protocol

from mainspring.core.views.agents import AgentViews
from mainspring.core.views.overview import OverviewViews
from mainspring.core.views.queues import QueueViews
from mainspring.core.views.runs import RunViews
from mainspring.core.views.schedules import ScheduleViews
from mainspring.core.views.scripts import ScriptViews
from mainspring.core.views.settings import SettingViews
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

    @property
    def agents(self) -> AgentViews: ...

    @property
    def scripts(self) -> ScriptViews: ...

    @property
    def settings(self) -> SettingViews: ...
