"""The half of a draft that says when: bounds and defaults of contract section 3."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from mainspring.core.drafts import Draft, build_schedule, check_timezone, parse_expression
from mainspring.core.errors import Invalid
from mainspring.core.model import Schedule
from store.making import START, target

TARGET = target(address="https://api.example/jobs/report/", origin="https://api.example:443")
CRON = "0 9 * * *"


def build(old: Schedule | None = None, **fields: Any) -> Schedule:
    if old is None and "run_at" not in fields:
        fields.setdefault("cron_expr", CRON)
    return build_schedule(Draft(**fields), old, TARGET, "acme", "cron")


def refused(old: Schedule | None = None, **fields: Any) -> str | None:
    """The field that a refusal names."""
    with pytest.raises(Invalid) as caught:
        build(old, **fields)
    assert caught.value.hint
    return caught.value.field


def test_what_is_not_said_has_its_default() -> None:
    assert build() == Schedule(
        id=0,
        number=0,
        project="acme",
        kind="cron",
        name="api.example/jobs/report",
        cron_expr=CRON,
        run_at=None,
        dialect="standard",
        timezone="UTC",
        anchor_at=0,
        overlap="skip",
        catchup="latest",
        catchup_window_ms=86_400_000,
        max_runs=None,
        retention_days=30,
        retention_runs=10_000,
        target_id=0,
        lane="http",
        origin="https://api.example:443",
        version=1,
        created_at=0,
        updated_at=0,
    )


CHANGED: dict[str, Any] = {
    "name": "report",
    "timezone": "Europe/Berlin",
    "dialect": "quartz",
    "overlap": "queue",
    "catchup": "all",
    "catchup_window_seconds": 60,
    "max_runs": 5,
    "retention_days": 0,
    "retention_runs": 1,
}


@pytest.mark.parametrize("field", CHANGED)
def test_null_gives_the_default_back_and_silence_keeps_what_is_stored(field: str) -> None:
    plain = build(cron_expr="0 0 9 * * ?")
    changed = build(plain, **{field: CHANGED[field]})
    assert changed != plain
    assert build(changed) == changed
    assert build(changed, **{field: UNSET}) == changed
    assert build(changed, **{field: None}) == plain


def test_an_edit_keeps_what_identifies_the_schedule() -> None:
    stored = msgspec.structs.replace(build(), id=7, number=3, version=4, anchor_at=START, created_at=START, target_id=9)
    edited = build(stored, name="other")
    assert (edited.id, edited.number, edited.version, edited.anchor_at, edited.created_at, edited.target_id) == (
        7,
        3,
        4,
        START,
        START,
        9,
    )


def test_exactly_one_of_expression_and_instant() -> None:
    assert refused(cron_expr=UNSET) == refused(cron_expr=None) == "cron_expr"
    assert refused(cron_expr=CRON, run_at=START) == "cron_expr"
    assert (build(run_at=START).run_at, build(run_at=START).cron_expr) == (START, None)


def test_each_replaces_the_other_on_update() -> None:
    shot = build(build(), run_at=START)
    assert (shot.cron_expr, shot.run_at) == (None, START)
    cron = build(shot, cron_expr="5 * * * *")
    assert (cron.cron_expr, cron.run_at) == ("5 * * * *", None)
    assert build(cron, cron_expr=None, run_at=None).cron_expr == "5 * * * *"
    assert refused(cron, cron_expr=CRON, run_at=START) == "cron_expr"


def test_a_cap_of_at_least_one_run() -> None:
    assert [build(max_runs=count).max_runs for count in (1, 1_000_000_000)] == [1, 1_000_000_000]
    assert refused(max_runs=0) == refused(max_runs=1_000_000_001) == "max_runs"


def test_the_catch_up_window_up_to_a_year() -> None:
    windows = [build(catchup_window_seconds=seconds).catchup_window_ms for seconds in (0, 366 * 86_400)]
    assert windows == [0, 366 * 86_400_000]
    assert refused(catchup_window_seconds=-1) == refused(catchup_window_seconds=366 * 86_400 + 1)
    assert refused(catchup_window_seconds=-1) == "catchup_window_seconds"


def test_a_schedule_without_a_window_keeps_it_so() -> None:
    """The JSON-RPC door makes such ones; an edit that does not speak of the window leaves it."""
    stored = msgspec.structs.replace(build(), catchup_window_ms=None)
    assert build(stored, name="other").catchup_window_ms is None
    assert build(stored, catchup_window_seconds=None).catchup_window_ms == 86_400_000


def test_history_is_kept_0_to_3650_days_and_at_least_one_run() -> None:
    assert [build(retention_days=days).retention_days for days in (0, 3_650)] == [0, 3_650]
    assert refused(retention_days=-1) == refused(retention_days=3_651) == "retention_days"
    assert [build(retention_runs=runs).retention_runs for runs in (1, 1_000_000)] == [1, 1_000_000]
    assert refused(retention_runs=0) == refused(retention_runs=1_000_001) == "retention_runs"


def test_names_of_1_to_255_characters_without_nul() -> None:
    assert [len(build(name=name).name) for name in ("x", "é" * 255)] == [1, 255]
    assert refused(name="") == refused(name="x" * 256) == refused(name="a\x00b") == "name"


def test_a_zone_is_an_iana_name() -> None:
    assert build(timezone="Asia/Kolkata").timezone == "Asia/Kolkata"
    assert refused(timezone="Mars/Olympus") == refused(timezone="") == refused(timezone="+02:00") == "timezone"
    with pytest.raises(Invalid):
        check_timezone("../../etc/passwd")


def test_a_zone_in_the_expression_is_the_zone_of_the_schedule() -> None:
    made = build(cron_expr="CRON_TZ=Asia/Tokyo 0 9 * * *")
    assert made.timezone == "Asia/Tokyo"
    assert build(cron_expr="CRON_TZ=Asia/Tokyo 0 9 * * *", timezone="Asia/Tokyo").timezone == "Asia/Tokyo"
    assert build(made, timezone=None).timezone == "Asia/Tokyo"
    assert build(made, cron_expr=CRON).timezone == "Asia/Tokyo"


def test_two_different_zones_contradict_each_other() -> None:
    assert refused(cron_expr="CRON_TZ=Asia/Tokyo 0 9 * * *", timezone="UTC") == "timezone"
    assert refused(build(cron_expr="CRON_TZ=Asia/Tokyo 0 9 * * *"), timezone="UTC") == "timezone"
    assert refused(cron_expr="CRON_TZ=Mars/Olympus 0 9 * * *") is not None


def test_a_zone_in_the_expression_replaces_the_stored_one() -> None:
    stored = build(timezone="Europe/Berlin")
    assert build(stored, cron_expr="CRON_TZ=Asia/Tokyo 0 9 * * *").timezone == "Asia/Tokyo"


def test_an_expression_that_does_not_parse_is_refused_with_its_position() -> None:
    with pytest.raises(Invalid) as caught:
        build(cron_expr="0 25 * * *")
    assert caught.value.field == "cron_expr"
    assert "position 2" in caught.value.message
    with pytest.raises(Invalid):
        parse_expression("", "standard")


def test_the_dialects_and_no_other() -> None:
    for dialect, expr in (("nodeget", "0 0 9 * * *"), ("go-crontab", "0 0 9 * * *"), ("quartz", "0 0 9 * * ?")):
        assert build(dialect=dialect, cron_expr=expr).dialect == dialect
    assert refused(dialect="vixie") == "dialect"


def test_another_dialect_must_also_read_the_stored_expression() -> None:
    assert refused(build(), dialect="nodeget") == "cron_expr"
