"""The same act through each door leaves the same rows. A further door is one class and one line in DOORS."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from doors.crontab.rig import results, work
from doors.jsonrpc.rig import result
from doors.live import SUPER, Live, serving
from store.making import driver

NEW_YEAR = "0 0 9 1 1 *"
URL = "http://127.0.0.1:9/hook"


class Door(Protocol):
    """A job that is made, changed, switched and run through one door."""

    async def create(self, live: Live) -> None: ...
    async def change(self, live: Live) -> None: ...
    async def switch(self, live: Live, on: bool) -> None: ...
    async def run(self, live: Live) -> None: ...


class Rest:
    """Says what the crontab door takes for granted."""

    path = ""

    async def create(self, live: Live) -> None:
        record = await live.cron(
            name="a job",
            cron_expr=NEW_YEAR,
            dialect="go-crontab",
            timezone="Europe/Berlin",
            task=URL,
            payload={"a": 1},
            retry_delays=[2, 4],
            timeout_seconds=10,
            overlap_policy="allow",
            catchup="skip",
            expect={"status": [200], "body_regexp": "ok"},
        )
        self.path = record["id"]

    async def change(self, live: Live) -> None:
        assert (await live.call("PATCH", f"/v1/cron/update/{self.path}", {"task": URL + "/new", "method": "GET"})).data

    async def switch(self, live: Live, on: bool) -> None:
        assert (await live.post(f"/v1/cron/{'resume' if on else 'pause'}/{self.path}")).data

    async def run(self, live: Live) -> None:
        assert (await live.post(f"/v1/cron/trigger/{self.path}")).data


class Crontab:
    async def create(self, live: Live) -> None:
        job = {
            "name": "a job",
            "enable": 1,
            "module": 1,
            "type": 6,
            "start_time": NEW_YEAR,
            "url": URL,
            "method": "post",
        }
        [result] = await results(
            live, "add_task", {**job, "body": '{"a": 1}', "redo_param": "2 4", "resp_regexp": "ok"}
        )
        assert result["err"] == ""

    async def change(self, live: Live) -> None:
        await self._done(live, "update_task", url=URL + "/new", method="get")

    async def switch(self, live: Live, on: bool) -> None:
        await self._done(live, "update_task", enable=1 if on else 2)

    async def run(self, live: Live) -> None:
        await self._done(live, "run_again_task")

    async def _done(self, live: Live, call: str, **fields: Any) -> None:
        assert (await results(live, call, {"name": "a job", **fields}))[0]["err"] == ""


class JsonRpc(Rest):
    """Calls no URLs itself, but switches what does."""

    async def switch(self, live: Live, on: bool) -> None:
        assert await result(live, "crontab_set_enable", token=SUPER, name="a job", enable=on) == {
            "success": True,
            "enabled": on,
        }


DOORS: dict[str, Callable[[], Door]] = {"rest": Rest, "crontab": Crontab, "jsonrpc": JsonRpc}

Act = Callable[[Door, Live], Awaitable[None]]


async def create(door: Door, live: Live) -> None:
    await door.create(live)


async def create_and_change(door: Door, live: Live) -> None:
    await door.create(live)
    await door.change(live)


async def create_and_switch_off(door: Door, live: Live) -> None:
    await door.create(live)
    await door.switch(live, on=False)


async def create_and_switch_off_and_on(door: Door, live: Live) -> None:
    await create_and_switch_off(door, live)
    await door.switch(live, on=True)


async def create_and_run(door: Door, live: Live) -> None:
    await door.create(live)
    await door.run(live)
    await work(live)


async def run_while_off(door: Door, live: Live) -> None:
    await create_and_switch_off(door, live)
    await door.run(live)


ACTS = (create, create_and_change, create_and_switch_off, create_and_switch_off_and_on, create_and_run, run_while_off)
# What says which one and when; of a target that was replaced, which one took its place is told by being last.
_OWN = re.compile(r"^(id|number|(schedule|target|run)_id)$")
_WHEN = re.compile(r"_at$|^scheduled_for$|^lease_until$")


def rows(live: Live) -> dict[str, list[dict[str, Any]]]:
    """What every door leaves in the store; of instants, whether there is one, but for what is next."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table in ("schedules", "progress", "targets", "runs", "attempts", "gaps"):
        cursor = driver(live.store).execute(f"SELECT * FROM {table} ORDER BY 1, 2")  # names above
        all_rows = cursor.fetchall()
        names = [row[1] for row in driver(live.store).execute(f"PRAGMA table_info({table})")]
        found[table] = [
            {
                name: (value is not None) if _WHEN.search(name) and name != "next_due_at" else value
                for name, value in zip(names, row, strict=True)
                if not _OWN.search(name)
            }
            for row in all_rows
        ]
    return found


async def left_by(door: Callable[[], Door], act: Act, folder: Path) -> dict[str, list[dict[str, Any]]]:
    folder.mkdir()
    async with serving(folder, crontab_timezone="Europe/Berlin") as live:
        await act(door(), live)
        return rows(live)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_the_same_act_leaves_the_same_rows(act: Act, tmp_path: Path) -> None:
    left = {name: await left_by(door, act, tmp_path / name) for name, door in DOORS.items()}
    first = left.pop("rest")
    assert first["schedules"]
    assert first["targets"]
    for name, other in left.items():
        assert other == first, name
