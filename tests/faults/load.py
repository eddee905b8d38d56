"""Clients that use all nodes at once, ask under one idempotency key until they are answered, and remember it."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from e2e.harness import KEY
from faults.cluster import Node
from faults.evidence import Beat, Shape, Told, What, key_of
from faults.receiver import Receiver, clock
from mainspring.core import ids
from mainspring.core.instants import iso
from mainspring.core.limits import LEASE, SECOND

CLIENTS = 4
ANSWER_S = 2.5
PATIENCE_S = 60.0
PAUSE_S = 0.1

SECONDLY = Beat(1)

# What goes on all the time and is never edited.
STEADY = (
    Shape("each-second-latest", SECONDLY, "ok"),
    Shape("each-second-all", SECONDLY, "ok", catchup="all"),
    Shape("each-second-skip", SECONDLY, "ok", catchup="skip"),
    Shape("slow", SECONDLY, "after-2500"),
    Shape("too-slow-skip", SECONDLY, "after-1300", overlap="skip"),
    Shape("one-by-one", Beat(2), "after-300", overlap="queue", catchup="all"),
    Shape("one-by-one-failing", Beat(3), "fail-2", overlap="queue"),
    Shape("every-two", Beat(2, anchored=True), "ok", catchup="all"),
    Shape("flaky", SECONDLY, "fail-1"),
    Shape("hopeless", Beat(2), "broken", delays=(0.3, 0.3)),
    Shape("only-once", SECONDLY, "after-100", delays=()),
    Shape("capped", Beat(2), "after-100", max_runs=12),
    Shape("each-minute", Beat(60), "ok"),
)

# Longer than a lease lasts without renewal.
ENDLESS = Shape("endless", Beat(10), f"after-{LEASE + 15 * SECOND}")


class Clients:
    """Threads that create, edit, pause, resume, trigger and delete schedules of their own."""

    def __init__(self, nodes: Sequence[Node], receiver: Receiver, seed: int, shapes: Sequence[Shape] = STEADY) -> None:
        self.told: list[Told] = []
        self.strange: list[str] = []
        self.answered: list[int] = []
        self._nodes = nodes
        self._receiver = receiver
        self._lock = threading.Lock()
        self._over = threading.Event()
        dice = random.Random(seed)
        self._dice = random.Random(dice.random())
        for shape in shapes:
            self.create(self._dice, shape)
        self._threads = [
            threading.Thread(target=self._go_on, args=(number, random.Random(dice.random())))
            for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """What is being asked is still answered."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def silence(self, since: int) -> int:
        """The longest time (ms) in which nobody was answered, from `since` on."""
        with self._lock:
            marks = [since, *(one for one in self.answered if one >= since)]
        return max((after - before for before, after in pairwise(marks)), default=0)

    def create(self, dice: random.Random, shape: Shape) -> Told:
        body: dict[str, Any] = {"name": shape.name, "task": self._receiver.url + shape.path()}
        body |= {"retry_delays": list(shape.delays), "timeout_seconds": 60}
        if shape.run_at is not None:
            return self._ask(
                dice, "create", shape, "/v1/scheduling/task/schedule", body | {"run_at": iso(shape.run_at)}
            )
        assert shape.beat is not None
        body |= {"cron_expr": shape.beat.expr, "overlap_policy": shape.overlap, "catchup": shape.catchup}
        body |= {"max_runs": shape.max_runs}
        if shape.behaviour == "broken":
            body["on_failure_webhook"] = f"{self._receiver.url}/failed/{shape.name}"
        return self._ask(dice, "create", shape, "/v1/cron/create", body)

    def _go_on(self, number: int, dice: random.Random) -> None:
        mine: list[Told] = []
        made = 0
        while not self._over.wait(PAUSE_S):
            if len(mine) < 4:
                made += 1
                mine.append(self.create(dice, _some_shape(dice, f"client-{number}-{made}")))
                continue
            if dice.random() < 0.2:
                made += 1
                at = clock() + dice.randrange(0, 1_500)
                self.create(dice, Shape(f"task-{number}-{made}", None, "ok", run_at=at))
                continue
            chosen = dice.randrange(len(mine))
            after = self._change(dice, mine[chosen])
            if after.shape.deleted:
                del mine[chosen]
            else:
                mine[chosen] = after

    def _change(self, dice: random.Random, before: Told) -> Told:
        shape = before.shape
        assert shape.beat is not None
        what: What = dice.choice(
            ("update", "update", "trigger", "trigger", "delete", "resume" if shape.paused else "pause")
        )
        body: dict[str, Any] | None = None
        match what:
            case "update":
                shape = replace(shape, beat=Beat(2, 1 - shape.beat.phase), version=shape.version + 1)
                assert shape.beat is not None
                body = {"cron_expr": shape.beat.expr, "task": self._receiver.url + shape.path()}
            case "trigger":
                pass
            case "pause" | "resume":
                shape = replace(shape, paused=what == "pause")
            case _:
                shape = replace(shape, deleted=True)
        return self._ask(dice, what, shape, f"/v1/cron/{what}/{_public(before)}", body, schedule=before.schedule)

    def _ask(
        self, dice: random.Random, what: What, shape: Shape, path: str, body: Any, *, schedule: int | None = None
    ) -> Told:
        key, asked, until = f"{dice.getrandbits(64):x}", clock(), time.monotonic() + PATIENCE_S
        if what == "trigger":
            body = {"payload": {"key": key}}
        method = {"update": "PATCH", "delete": "DELETE"}.get(what, "POST")
        unanswered = False
        while True:
            node = dice.choice(self._nodes)
            status, answer = _once(node.url, method, path, body, key)
            done = clock()
            if status == 200 or (status == 409 and what == "trigger"):
                break
            unanswered = unanswered or status == 0
            if status not in (0, 503, 409):
                self.strange.append(f"{what} of {shape.name} on {node.name}: {status} {answer}")
            assert time.monotonic() < until, f"{what} of {shape.name} was never answered: {status} {answer}"
            time.sleep(0.05)  # as a client backs off
        made = answer["data"].get("run_id" if what == "trigger" else "id") if status == 200 else None
        told = Told(what, key, shape, schedule or key_of(str(made)), asked, done, made, unanswered)
        with self._lock:
            self.told.append(told)
            self.answered.append(done)
        return told


def _some_shape(dice: random.Random, name: str) -> Shape:
    return Shape(
        name,
        Beat(2, dice.randrange(2)),
        dice.choice(("ok", "after-300", "fail-1")),
        overlap=dice.choice(("allow", "skip", "queue")),
        catchup=dice.choice(("latest", "skip", "all")),
    )


def _public(told: Told) -> str:
    return ids.text("cron", told.schedule)


def _once(url: str, method: str, path: str, body: Any, key: str) -> tuple[int, Any]:
    """(status, JSON) of one request; status 0 when it is not known what became of it."""
    if not url:
        return 0, "not there"
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_S)
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
    payload = None if body is None else json.dumps(body)
    if payload is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, payload, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return 0, repr(error)
    finally:
        connection.close()
