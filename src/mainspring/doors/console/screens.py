"""The screens in the order of the navigation. Paths are within the console."""

from __future__ import annotations

import msgspec


class Screen(msgspec.Struct, frozen=True):
    """One entry of the navigation. `path`: of the list, under which its details are; `label`: in English."""

    path: str
    label: str


NAVIGATION = (
    Screen("", "Overview"),
    Screen("/schedules", "Schedules"),
    Screen("/runs", "Runs"),
    Screen("/queues", "Queues"),
    Screen("/webhooks", "Webhooks"),
    Screen("/agents", "Agents"),
    Screen("/scripts", "Scripts"),
    Screen("/settings", "Settings"),
)
