"""One target that hangs does not hold up another, and neither caps nor order are lost on the way."""

from __future__ import annotations

from collections import Counter

from loops.rig import Rig
from mainspring.core.limits import HOUR, MINUTE, SEATS, SEATS_PER_ORIGIN, SECOND
from store.making import START, manual


async def waiting(rig: Rig, host: str, count: int) -> None:
    """So many runs of one host, due now."""
    entry = await rig.create(host, run_at=START + HOUR, overlap="allow")
    await rig.bench.store.runs.trigger(rig.clock(), [manual(entry.schedule.id)] * count)


async def test_a_hanging_origin_with_500_waiting_does_not_delay_another(rig: Rig) -> None:
    rig.targets.hang("slow")
    await waiting(rig, "slow", 500)
    await rig.dispatch()
    assert rig.targets.in_flight["slow"] == SEATS_PER_ORIGIN
    for number in range(20):
        rig.clock.advance(50)
        await waiting(rig, "quick", 1)
        await rig.dispatch()
        assert rig.targets.hosts().count("quick") == number + 1
    assert rig.targets.peak["slow"] == SEATS_PER_ORIGIN


async def test_what_waited_for_a_hanging_origin_is_sent_once_it_answers_again(rig: Rig) -> None:
    rig.targets.hang("slow")
    await waiting(rig, "slow", 200)
    await rig.dispatch()
    for _ in range(3):
        await rig.dispatcher.step(rig.clock.advance(SECOND))
    rig.targets.release("slow")
    await rig.dispatch()
    assert rig.targets.hosts().count("slow") == 200
    assert len({run for run, _ in rig.attempts()}) == 200
    assert rig.targets.peak["slow"] == SEATS_PER_ORIGIN


async def test_no_more_than_a_thousand_are_in_flight(rig: Rig) -> None:
    for number in range(34):
        rig.targets.hang(f"h{number}")
        await waiting(rig, f"h{number}", 40)
    await rig.dispatch()
    assert (rig.targets.peak["all"], rig.dispatcher.in_flight) == (SEATS, SEATS)
    assert max(count for host, count in rig.targets.peak.items() if host != "all") == SEATS_PER_ORIGIN
    for number in range(34):
        rig.targets.release(f"h{number}")
    await rig.dispatch()
    assert Counter(rig.targets.hosts()) == {f"h{number}": 40 for number in range(34)}
    assert rig.targets.peak["all"] == SEATS


async def test_the_ports_of_one_host_are_origins_of_their_own(rig: Rig) -> None:
    rig.targets.hang("slow")
    for port in (8001, 8002):
        entry = await rig.create(f"slow:{port}", run_at=START + HOUR, overlap="allow")
        await rig.bench.store.runs.trigger(rig.clock(), [manual(entry.schedule.id)] * 40)
    await rig.dispatch()
    assert rig.targets.in_flight["slow"] == 2 * SEATS_PER_ORIGIN
    rig.targets.release("slow")
    await rig.dispatch()


async def test_work_that_lies_behind_is_found_again_within_a_second(rig: Rig) -> None:
    """Another node, or a clock that stepped back, makes a run due before what was read already."""
    await rig.dispatcher.step(rig.clock.advance(MINUTE))
    entry = await rig.create("a", run_at=START + HOUR)
    await rig.bench.store.runs.trigger(START, [manual(entry.schedule.id)])
    await rig.dispatcher.step(rig.clock.advance(SECOND))
    await rig.quiet()
    assert rig.targets.hosts() == ["a"]
