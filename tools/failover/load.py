"""What goes on while leaders die: schedules of each second, and clients that write and repeat until they are told.

A client knows a write as acknowledged only by a 200. After anything else it sends the same again, to another node,
under the same idempotency key, as the documentation asks of it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tools.failover.nodes import KEY

CLIENTS = 16
CALM_S, RUSH_S = 0.02, 0.0
AGAIN_S = 0.2
EVERY_SECOND = "* * * * * *"
YEARLY = "0 0 1 1 *"
TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass(slots=True)
class Acknowledged:
    """What the clients were told has been done; the server is held to it. `keys`: of creates, with what was sent and
    the id that was answered."""

    created: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    triggered: set[str] = field(default_factory=set)
    keys: dict[str, tuple[dict[str, str], str]] = field(default_factory=dict)
    instants: list[float] = field(default_factory=list)
    """When each of them was acknowledged, in ms."""
    answers: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    """Writes of which an answer left open whether they are kept."""
    found_kept: int = 0
    """Those of them that the repetition found done."""
    kept_though_refused: list[str] = field(default_factory=list)
    """Writes that every answer said were not accepted, and that the repetition found done."""


class Api:
    """The REST API at several nodes: a call that fails at one is repeated at the next."""

    def __init__(self, urls: Sequence[str], told: Acknowledged) -> None:
        self._urls = urls
        self._told = told
        self._session = aiohttp.ClientSession(timeout=TIMEOUT, headers={"Authorization": f"Bearer {KEY}"})

    async def close(self) -> None:
        await self._session.close()

    async def write(self, method: str, path: str, key: str, body: Any, *, first: int = 0) -> Any:
        """One write, repeated until it is acknowledged; its data. Raises for an answer that no repetition changes."""
        unknown = False
        for url in itertools.islice(itertools.cycle(self._urls), first, None):
            try:
                async with self._session.request(
                    method, url + path, json=body, headers={"Idempotency-Key": key}
                ) as reply:
                    answer = await reply.json()
                    replayed = reply.headers.get("Idempotency-Replayed") == "true"
            except (aiohttp.ClientError, TimeoutError) as error:
                self._told.answers[type(error).__name__] += 1
                unknown = True
            else:
                if reply.status == 200:
                    self._told.instants.append(time.time() * 1000)
                    self._told.answers["acknowledged"] += 1
                    self._note(key, unknown, replayed)
                    return answer["data"]
                message = answer["error"]["message"]
                if reply.status != 503:
                    raise AssertionError(f"{method} {path}: {reply.status} {message}")
                not_confirmed = "did not confirm" in message
                self._told.answers["503, not confirmed" if not_confirmed else "503, not accepted"] += 1
                unknown = unknown or not_confirmed
            await asyncio.sleep(AGAIN_S)
        raise AssertionError("the nodes are without end")

    def _note(self, key: str, unknown: bool, replayed: bool) -> None:
        self._told.unknown += unknown
        self._told.found_kept += unknown and replayed
        if replayed and not unknown:
            self._told.kept_though_refused.append(f"{key}: refused each time, and it was there")


async def schedules(api: Api, told: Acknowledged, target: str) -> dict[str, str]:
    """Jobs of each second under every mix of overlap and catch-up, three of each; path by id."""
    found = {}
    for overlap, catchup, nth in itertools.product(("allow", "skip", "queue"), ("latest", "all", "skip"), "abc"):
        path = f"/{overlap}/{catchup}/{nth}"
        body = {"cron_expr": EVERY_SECOND, "task": target + path, "overlap_policy": overlap, "catchup": catchup}
        found[await _create(api, told, f"load{path}", {**body, "name": path})] = path
    return found


async def _create(api: Api, told: Acknowledged, key: str, body: dict[str, str], *, first: int = 0) -> str:
    made = await api.write("POST", "/v1/cron/create", key, body, first=first)
    told.created.add(made["id"])
    told.keys[key] = body, made["id"]
    return str(made["id"])


async def asked_again(urls: Sequence[str], told: Acknowledged, most: int) -> list[str]:
    """Send up to `most` creates once more, at another node than the first time as a rule; what has another answer."""
    api = Api(urls, Acknowledged())
    sent = list(told.keys.items())
    step = -(-len(sent) // most)
    other = []
    for key, (body, answered) in sent[::step]:
        made = await api.write("POST", "/v1/cron/create", key, body, first=1)
        if made["id"] != answered:
            other.append(f"{key}: {made['id']}, first answered {answered}")
    await api.close()
    return other


class Tempo:
    """How long a client rests between two writes; None: it ends."""

    def __init__(self) -> None:
        self.rest_s: float | None = CALM_S


async def client(api: Api, told: Acknowledged, target: str, number: int, tempo: Tempo) -> None:
    """Create, now and then trigger or delete what was created, until told to end."""
    own: list[str] = []
    for count in itertools.count():
        if tempo.rest_s is None:
            return
        await asyncio.sleep(tempo.rest_s)
        key = f"client-{number}-{count}"
        match count % 8:
            case 5 if own:
                run = await api.write("POST", f"/v1/cron/trigger/{own[-1]}", key, {}, first=count % 2)
                told.triggered.add(run["run_id"])
            case 7 if own:
                gone = own.pop(0)
                await api.write("DELETE", f"/v1/cron/delete/{gone}", key, None, first=count % 2)
                told.deleted.add(gone)
            case _:
                body = {"cron_expr": YEARLY, "task": f"{target}/by-hand", "name": key, "overlap_policy": "allow"}
                own.append(await _create(api, told, key, body, first=count % 2))
