"""A parsed schedule: the tree, and the plan compiled from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mainspring.core.cron.plan import Plan
from mainspring.core.cron.tree import SECOND, YEAR, ZERO, Field, field_text


@dataclass(frozen=True, slots=True)
class Expression:
    """What `parse` returns: seven fields (second … year), or for `@every` an interval and no fields.

    Two expressions are equal when their trees, dialects and `CRON_TZ=` zones are, however they were spelled.
    """

    text: str = field(compare=False)
    dialect: str
    zone_name: str | None
    interval_ms: int | None
    fields: tuple[Field, ...]
    plan: Plan | None = field(compare=False, repr=False)

    @property
    def has_seconds(self) -> bool:
        """Whether it may fire at other seconds than :00."""
        if self.interval_ms is not None:
            return self.interval_ms % 60_000 != 0
        return self.fields[SECOND] != ZERO

    def canonical(self) -> str:
        """The one spelling of this tree; `parse` of it in the same dialect gives an equal expression."""
        prefix = f"CRON_TZ={self.zone_name} " if self.zone_name is not None else ""
        if self.interval_ms is not None:
            return f"{prefix}@every {duration_text(self.interval_ms)}"
        shown = self.fields[:YEAR] if self.fields[YEAR].everything else self.fields
        if self.dialect == "standard" and len(shown) == YEAR and not self.has_seconds:
            shown = shown[1:]
        return prefix + " ".join(field_text(item) for item in shown)


def duration_text(interval_ms: int) -> str:
    """A length of time the way Go writes it, without empty parts: 5400000 -> `1h30m`."""
    minutes, ms = divmod(interval_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") + (f"{seconds}s" if ms else "")
