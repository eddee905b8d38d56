"""While the database is away: what needs it is answered so, what does not is answered."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from doors.jsonrpc.rig import PING, error, result, socket, talk
from doors.live import SUPER, Clock, Live, serving
from mainspring.store.shared import open_postgres
from postgres import server

MADE = {"name": "a", "cron_expression": "0 * * * * *", "cron_type": PING}


async def test_calls_are_told_and_work_again_when_it_is_back(tmp_path: Path) -> None:
    clock = Clock()
    with server() as database:
        store = await open_postgres(database.url("postgres"), clock, time.monotonic_ns, clock=clock)
        async with serving(tmp_path, clock=clock, store=store) as live, socket(live) as opened:
            assert await result(live, "crontab_create", token=SUPER, **MADE) == {"id": 1}
            await asyncio.to_thread(database.stop)
            for method, params in (
                ("crontab_get", {}),
                ("crontab_create", {**MADE, "name": "b"}),
                ("crontab-result_query", {"query": {"condition": []}}),
            ):
                refused = await error(live, method, token=SUPER, **params)
                assert refused["code"] == 103
                assert refused["message"].startswith("Database error: ")
                assert "data" not in refused
            refused = await error(live, "task_query", token=SUPER, task_data_query={"condition": []})
            assert json.loads(refused["data"]) == {"error_id": 103, "error_message": refused["message"]}
            hello = {"jsonrpc": "2.0", "id": 1, "method": "nodeget-server_hello"}
            assert "result" in await talk(opened, hello)
            await asyncio.to_thread(database.start)
            assert [one["name"] for one in await _listed(live)] == ["a"]


async def _listed(live: Live) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        while True:
            answer = await live.post(
                "/",
                {"jsonrpc": "2.0", "id": 1, "method": "crontab_get", "params": {"token": SUPER}},
                key=None,
            )
            if "result" in answer.json:
                found: list[dict[str, Any]] = answer.json["result"]
                return found
            await asyncio.sleep(0.05)
