"""Cron schedules: four dialects, one syntax tree, one evaluator; texts for people in English and Chinese."""

from __future__ import annotations

from mainspring.core.cron.describe import describe
from mainspring.core.cron.dialects import DIALECTS
from mainspring.core.cron.errors import CronError
from mainspring.core.cron.evaluate import count_between, last_at_or_before, next_after
from mainspring.core.cron.expression import Expression
from mainspring.core.cron.never import never_reason
from mainspring.core.cron.notes import note_for
from mainspring.core.cron.parsing import parse
from mainspring.core.cron.zones import zone

__all__ = [
    "DIALECTS",
    "CronError",
    "Expression",
    "count_between",
    "describe",
    "last_at_or_before",
    "never_reason",
    "next_after",
    "note_for",
    "parse",
    "zone",
]
