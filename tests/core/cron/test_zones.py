from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.cron.oracle import local
from mainspring.core.cron import CronError, zone
from mainspring.core.cron.zones import _names, offsets_of

WEIRD = (
    "",
    "Mars/X",
    "europe/berlin",
    "../Europe/Berlin",
    "Europe/../Europe/Berlin",
    "/usr/share/zoneinfo/UTC",
    "/etc/localtime",
    "localtime",
    "posixrules",
    "posix/Europe/Berlin",
    "right/UTC",
    "tzdata.zi",
    "zone.tab",
    "Europe",
    "Europe/",
    "Europe\\Berlin",
    "UTC\0",
    "UTC ",
    "+02:00",
    "x" * 100_000,
)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "US/Eastern"])
def test_iana_names_are_known(name: str) -> None:
    assert zone(name).key == name
    assert zone(name) is zone(name)


@pytest.mark.parametrize("name", WEIRD)
def test_nothing_else_is_a_zone(name: str) -> None:
    with pytest.raises(CronError, match="there is no time zone") as refusal:
        zone(name)
    assert len(refusal.value.message) < 200


def test_a_zone_has_the_offsets_of_the_database() -> None:
    assert zone("Asia/Kathmandu").utcoffset(datetime(2026, 1, 1, tzinfo=UTC)) == timedelta(hours=5, minutes=45)
    assert time(tzinfo=zone("Etc/GMT+5")).utcoffset() == timedelta(hours=-5)


def test_the_stretches_of_every_zone_are_those_of_the_zone() -> None:
    for name in sorted(_names()):
        check_stretches(name)


def check_stretches(name: str) -> None:
    tz = zone(name)
    offsets = offsets_of(tz)
    dice = random.Random(name)
    for _ in range(25):
        t = dice.randint(-2_000_000_000, 7_000_000_000)
        start, end, offset, floor, calm = offsets.at(t)
        assert start <= t < end
        assert timedelta(seconds=offset) == local(t * 1000, tz).utcoffset(), name
        edge = max(start, -2_100_000_000)
        assert timedelta(seconds=offset) == local(edge * 1000, tz).utcoffset()
        if start == edge:
            before = local((start - 1) * 1000, tz).utcoffset()
            assert timedelta(seconds=floor + 1 - start) == before
            assert calm in (start, start + 2 * 86_400)


def test_no_offset_lasts_shorter_than_two_probes() -> None:
    step = timedelta(hours=6)
    for name in (
        "America/Noronha",
        "America/Recife",
        "Asia/Gaza",
        "Asia/Hebron",
        "Africa/Casablanca",
        "Africa/El_Aaiun",
    ):
        tz, offsets = zone(name), offsets_of(zone(name))
        moment = datetime(1970, 1, 1, tzinfo=UTC)
        while moment.year < 2090:
            assert timedelta(seconds=offsets.at(int(moment.timestamp()))[2]) == moment.astimezone(tz).utcoffset(), (
                moment
            )
            moment += step


def test_a_zone_from_elsewhere_works_as_well() -> None:
    tz = ZoneInfo("Europe/Berlin")
    assert offsets_of(tz).at(1_780_000_000)[2] == 7200
