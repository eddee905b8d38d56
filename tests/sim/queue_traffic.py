"""Producers and consumers over HTTP that outlive their server, and everything they were told."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

VISIBILITY_S = 2
PLAIN, LINE = "plain", "line"
RETRIES = 2
GROUPS_EACH = 2
PACE_S = 0.03
FOLD_MS = 500  # a transaction may come so much later than the instant it is made with


@dataclass
class Delivery:
    """One lease as its consumer saw it; instants are ms of this machine. `granted`: what the server calls its
    beginning, which is before it looks for messages; `received`: when the answer was there; `settled`: when the call
    that ended it began."""

    id: str
    key: str
    queue: str
    group: str | None
    seq: int
    attempt: int
    granted: float
    received: float
    until: float
    settled: float | None = None
    verb: str | None = None
    sure: bool = False


@dataclass
class Told:
    """What producers and consumers were told by the servers."""

    published: dict[str, str] = field(default_factory=dict)
    attempted: dict[str, tuple[str, str | None, int]] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lost_consumes: int = 0
    unknown: int = 0


class Line:
    """One caller's connection, to whichever server there is just now."""

    def __init__(self, key: str, url: Callable[[], str], halt: threading.Event) -> None:
        self._key, self._url, self._halt = key, url, halt
        self._connection: http.client.HTTPConnection | None = None

    def call(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, Any] | None:
        """Status and answer; None when nobody knows what became of the call."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(urlsplit(self._url()).netloc, timeout=10)
            sent = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json", **headers}
            self._connection.request("POST", f"/v1/queue/{path}", json.dumps(body).encode(), sent)
            reply = self._connection.getresponse()
            return reply.status, json.loads(reply.read())
        except (OSError, ValueError, http.client.HTTPException):
            self.close()
            self._halt.wait(0.05)
            return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Traffic:
    """Eight producers and eight consumers. `quiet` ends the producing, `halt` everything."""

    def __init__(self, key: str, urls: list[Callable[[], str]], seed: int) -> None:
        self.told = Told()
        self.quiet, self.halt = threading.Event(), threading.Event()
        self._key, self._urls = key, urls
        self._lock = threading.Lock()
        self.producers = [threading.Thread(target=self._produce, args=(at, seed * 100 + at)) for at in range(8)]
        self.consumers = [threading.Thread(target=self._consume, args=(at, seed * 100 + 50 + at)) for at in range(8)]
        for thread in (*self.producers, *self.consumers):
            thread.start()

    def _line(self, at: int) -> Line:
        return Line(self._key, self._urls[at % len(self._urls)], self.halt)

    def _produce(self, at: int, seed: int) -> None:
        """One message after the other, each under its key until it is known to be there."""
        line, dice, seqs = self._line(at), random.Random(seed), Counter[str]()
        while not self.quiet.wait(dice.random() * PACE_S):
            group = f"g{at}.{dice.randrange(GROUPS_EACH)}" if dice.random() < 0.5 else None
            queue = LINE if group else PLAIN
            seqs[group or ""] += 1
            seq, key = seqs[group or ""], f"{at}-{group}-{seqs[group or '']}"
            content = {"key": key, "seq": seq, "fill": "x" * dice.randrange(300)}
            content["hash"] = _digest(content)
            body = {"queue": queue, "payload": content, "group_id": group}
            self.told.attempted[key] = (queue, group, seq)
            while not self.halt.is_set():
                answer = line.call("publish", body, **{"Idempotency-Key": key})
                if answer is not None and answer[0] == 200:
                    self._note(key, answer[1]["data"]["message_id"])
                    if dice.random() < 0.9:
                        break
                    continue  # asked once more although it is known: the answer must be the same
                self.told.unknown += 1
                if answer is not None and answer[0] not in {429, 500, 503}:
                    self.told.wrong.append(f"publish answered {answer}")
                    break
        line.close()

    def _note(self, key: str, message_id: str) -> None:
        with self._lock:
            if self.told.published.setdefault(key, message_id) != message_id:
                self.told.wrong.append(f"{key} has two ids")

    def _consume(self, at: int, seed: int) -> None:
        line, dice = self._line(at + 1), random.Random(seed)
        kept: list[tuple[Delivery, str]] = []
        while not self.halt.is_set():
            queue = LINE if dice.random() < 0.5 else PLAIN
            wish = {"queue": queue, "max_messages": dice.randrange(1, 6), "visibility_timeout": VISIBILITY_S}
            answer = line.call("consume", wish | {"wait_seconds": 0.2})
            if answer is None or answer[0] != 200:
                self.told.lost_consumes += 1
                continue
            received = time.time() * 1000
            for message in answer[1]["data"]["messages"]:
                delivery = self._check(message, received)
                mood = dice.random()
                if self.quiet.is_set() or mood < 0.84:
                    self._settle(line, delivery, message["receipt"], "ack")
                elif mood < 0.92:
                    self._settle(line, delivery, message["receipt"], "nack")
                elif mood < 0.95:
                    self._settle(line, delivery, message["receipt"], "release")
                elif mood < 0.98:
                    kept.append((delivery, message["receipt"]))  # to be acknowledged when it is too late
            now = time.time() * 1000
            for delivery, receipt in [one for one in kept if one[0].until + 100 < now]:
                kept.remove((delivery, receipt))
                self._settle(line, delivery, receipt, "ack", late=True)
        line.close()

    def _check(self, message: dict[str, Any], received: float) -> Delivery:
        content = message["payload"]
        until = datetime.fromisoformat(message["visible_until"]).timestamp() * 1000
        if content.pop("hash") != _digest(content):
            self.told.wrong.append(f"{message} is not what was published")
        delivery = Delivery(
            message["message_id"],
            content["key"],
            message["queue"],
            message["group_id"],
            content["seq"],
            message["attempt"],
            until - VISIBILITY_S * 1000,
            received,
            until,
        )
        self.told.deliveries.append(delivery)
        return delivery

    def _settle(self, line: Line, delivery: Delivery, receipt: str, verb: str, *, late: bool = False) -> None:
        began = time.time() * 1000
        body = {"queue": delivery.queue, "message_id": delivery.id, "receipt": receipt}
        answer = line.call(verb, body)
        status = None if answer is None else answer[0]
        if late:
            if status == 200:
                self.told.wrong.append(f"{delivery} was acknowledged after its lease")
            return
        if status in {200, None, 500, 503}:
            delivery.settled, delivery.verb, delivery.sure = began, verb, status == 200
        elif status not in {404, 409}:
            self.told.wrong.append(f"{verb} answered {answer}")
        elif began + 50 < delivery.until - 1_000 and status == 409:
            self.told.wrong.append(f"{delivery} was refused within its lease")


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def complaints(told: Told, dead: set[str], left: set[str]) -> list[str]:
    """What the ledger says against the servers. `dead` are in the dead letters at the end, `left` still in a queue."""
    wrong = list(told.wrong)
    by_id: dict[str, list[Delivery]] = {}
    for one in told.deliveries:
        by_id.setdefault(one.id, []).append(one)
        if one.key not in told.attempted or told.attempted[one.key] != (one.queue, one.group, one.seq):
            wrong.append(f"{one} was published by nobody")
        if told.published.get(one.key, one.id) != one.id:
            wrong.append(f"{one.key} was delivered under another id")
    acked = {one.id for one in told.deliveries if one.verb == "ack" and one.sure}
    maybe = {one.id for one in told.deliveries if one.verb == "ack"}
    wrong += [f"{lost} is lost" for lost in sorted(set(told.published.values()) - maybe - dead - left)]
    wrong += [f"{one} is acknowledged and still there" for one in sorted(acked & (dead | left))]
    gaps = 0
    for message_id, leases in by_id.items():
        leases.sort(key=lambda one: one.attempt)
        attempts = [one.attempt for one in leases]
        if len(set(attempts)) < len(attempts):
            wrong.append(f"{message_id} was handed out twice as attempt {attempts}")
        gaps += attempts[-1] - len(attempts)
        for one, following in pairwise(leases):
            over = min(one.until, one.settled or one.until)
            if following.received < over or following.granted < over - FOLD_MS:
                wrong.append(f"{following} was handed out within {one}")
        if any(one.verb == "ack" and one.sure for one in leases[:-1]):
            wrong.append(f"{message_id} came again after its acknowledgement")
    if gaps > 5 * told.lost_consumes:
        wrong.append(f"{gaps} attempts were seen by nobody, and {told.lost_consumes} consumes were lost")
    return wrong + out_of_order(told)


def out_of_order(told: Told) -> list[str]:
    """FIFO groups whose messages began in another order, or before the one ahead of them was done."""
    wrong = []
    groups: dict[str, dict[int, list[Delivery]]] = {}
    for one in told.deliveries:
        if one.group is not None:
            groups.setdefault(one.group, {}).setdefault(one.seq, []).append(one)
    for name, seqs in groups.items():
        for seq in sorted(seqs)[1:]:
            ahead, first = seqs.get(seq - 1, []), min(one.received for one in seqs[seq])
            ends = [one.settled for one in ahead if one.verb == "ack" and one.settled is not None]
            if ahead and (not ends or first < min(ends)):
                wrong.append(f"{seq} of {name} began before the one ahead of it was done")
            if any(one.granted > first for one in ahead):
                wrong.append(f"{seq - 1} of {name} came again after the next one")
    return wrong
