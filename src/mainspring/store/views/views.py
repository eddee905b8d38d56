"""All views, by noun."""

from __future__ import annotations

from mainspring.store.db import Db
from mainspring.store.views.agents import AgentViewStore
from mainspring.store.views.overview import OverviewViewStore
from mainspring.store.views.queues import QueueViewStore
from mainspring.store.views.runs import RunViewStore
from mainspring.store.views.schedules import ScheduleViewStore
from mainspring.store.views.scripts import ScriptViewStore
from mainspring.store.views.settings import SettingViewStore
from mainspring.store.views.webhooks import WebhookViewStore


class ViewStore:
    """What people look at, as this database reads it."""

    def __init__(self, db: Db) -> None:
        self.overview = OverviewViewStore(db)
        self.schedules = ScheduleViewStore(db)
        self.runs = RunViewStore(db)
        self.queues = QueueViewStore(db)
        self.webhooks = WebhookViewStore(db)
        self.agents = AgentViewStore(db)
        self.scripts = ScriptViewStore(db)
        self.settings = SettingViewStore(db)
