from __future__ import annotations

import struct
from datetime import UTC, datetime, time, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest

from core.cron.oracle import local
from mainspring.core.cron import CronError, zone
from mainspring.core.cron.zones import Offsets, _names, offsets_of

FIRST, LAST = 1_000_000_000, 2_200_000_000
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
        tz, offsets = zone(name), Offsets(zone(name))
        t, end = FIRST, 0
        while t < LAST:
            start, end, offset, floor, calm = offsets.at(t)
            assert start <= t < end, name
            for inside in (t, min(end, LAST) - 1):
                assert timedelta(seconds=offset) == local(inside * 1000, tz).utcoffset(), (name, inside)
            if start > FIRST:
                before = local((start - 1) * 1000, tz).utcoffset()
                assert timedelta(seconds=floor + 1 - start) == before, (name, start)
                assert calm in (start, start + 2 * 86_400), (name, start)
            t = end


def made(*changes: tuple[int, int]) -> ZoneInfo:
    """A zone that is UTC until the first of `changes` (UTC second, offset from then on), as a file of version 1."""
    types = b"".join(struct.pack(">lBB", offset, 0, 0) for offset in (0, *(offset for _, offset in changes)))
    header = b"TZif" + b"\0" * 16 + struct.pack(">6l", 0, 0, 0, len(changes), len(changes) + 1, 4)
    times = b"".join(struct.pack(">l", at) for at, _ in changes)
    return ZoneInfo.from_file(BytesIO(header + times + bytes(range(1, len(changes) + 1)) + types + b"ABC\0"))


@pytest.mark.parametrize("edge", [1 << 18, 1 << 25, 40 << 25, (40 << 25) + (3 << 18)])
@pytest.mark.parametrize("by", [-1, 0, 1])
def test_a_change_at_the_edge_of_a_block_or_a_probe_is_found_to_the_second(edge: int, by: int) -> None:
    at = edge + by
    offsets = Offsets(made((at, 3600), (at + 7 * 86_400, 0)))
    found = [offsets.at(t)[2] for t in (at - 1, at, at + 7 * 86_400 - 1, at + 7 * 86_400)]
    assert found == [0, 3600, 3600, 0]
    assert offsets.at(at)[3] == at - 1
    assert offsets.at(at + 7 * 86_400)[3] == at + 7 * 86_400 + 3600 - 1


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
