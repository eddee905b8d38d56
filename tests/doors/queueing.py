"""A hand on the queues of a live server: what tests say about messages, in few words."""

from __future__ import annotations

from typing import Any

from doors.live import Answer, Live

FAMILY = "/v1/queue"


class Desk:
    """One caller and one queue."""

    def __init__(self, live: Live, queue: str = "q", *, family: str = FAMILY, key: str | None = None) -> None:
        self.live = live
        self.queue = queue
        self._family = family
        self._more = {} if key is None else {"key": key}

    async def say(self, verb: str, /, **body: Any) -> Answer:
        """A call that names the queue in its body."""
        return await self.live.post(f"{self._family}/{verb}", {"queue": self.queue} | body, **self._more)

    async def to(self, verb: str, /, method: str = "POST", **body: Any) -> Answer:
        """A call that names the queue in its path."""
        return await self.live.call(method, f"{self._family}/{verb}/{self.queue}", body or None, **self._more)

    async def look(self, what: str, query: str = "") -> Any:
        """What can be read about the queue."""
        return (await self.live.get(f"{self._family}/{what}/{self.queue}{query}", **self._more)).data

    async def make(self, **settings: Any) -> Any:
        return (await self.live.post(f"{self._family}/create", {"name": self.queue} | settings, **self._more)).data

    async def publish(self, payload: Any = 1, **more: Any) -> str:
        public: str = (await self.say("publish", payload=payload, **more)).data["message_id"]
        return public

    async def consume(self, **ask: Any) -> list[Any]:
        return list((await self.say("consume", **ask)).data["messages"])

    async def settle(self, verb: str, message: Any, **more: Any) -> Answer:
        """With the receipt that came with the message."""
        return await self.say(verb, message_id=message["message_id"], receipt=message["receipt"], **more)

    async def stats(self) -> dict[str, int]:
        """Where the messages are: available, delayed, in flight, dead."""
        found = await self.look("stats")
        return {name: found[name] for name in ("available", "delayed", "in_flight", "dlq")}


def counts(available: int = 0, delayed: int = 0, in_flight: int = 0, dlq: int = 0) -> dict[str, int]:
    """What `Desk.stats` says."""
    return {"available": available, "delayed": delayed, "in_flight": in_flight, "dlq": dlq}


def payloads(found: list[Any]) -> list[Any]:
    """What was handed out, in order."""
    return [message["payload"] for message in found]
