"""An expression in a sentence."""

from __future__ import annotations

from typing import assert_never

from mainspring.core.cron import chinese, english
from mainspring.core.cron.expression import Expression
from mainspring.core.cron.meaning import meaning_of
from mainspring.core.cron.notes import Language


def describe(expr: Expression, lang: Language = "en", zone_name: str | None = None) -> str:
    """What the expression means, as one sentence; names the zone where one is given or written in the expression."""
    shown = "UTC" if expr.plan is not None and expr.plan.utc else zone_name or expr.zone_name
    match lang:
        case "en":
            if expr.interval_ms is not None:
                return english.every(expr.interval_ms) + "."
            return english.sentence(meaning_of(expr)) + (english.in_zone(shown) if shown else "") + "."
        case "zh":
            if expr.interval_ms is not None:
                return chinese.every(expr.interval_ms) + "。"
            return chinese.sentence(meaning_of(expr)) + (chinese.in_zone(shown) if shown else "") + "。"
        case _:
            assert_never(lang)
