"""The agent's life: a link to each server, until it is told to stop or its file has been changed."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
from collections.abc import Callable

from mainspring_agent.journal import Journal, folder_for
from mainspring_agent.link import Link
from mainspring_agent.settings import BadSettings, Loaded, load
from mainspring_agent.work import Workshop

RELOAD_S = 0.3
RELOAD_STOP_S = 10.0

log = logging.getLogger("mainspring_agent")


class Agent:
    """Works for the servers of its settings. `clock`: now in ms UTC."""

    def __init__(self, loaded: Loaded, clock: Callable[[], int]) -> None:
        self._loaded = loaded
        self._clock = clock
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()

    def ask_to_stop(self) -> None:
        """Finish what is under way, upload it, go."""
        self._stop.set()

    async def run(self) -> None:
        """Until asked to stop."""
        while not self._stop.is_set():
            await self._serve()
            if not self._stop.is_set():
                self._reload()

    async def _serve(self) -> None:
        self._changed.clear()
        settings = self._loaded.settings
        workshop = Workshop(settings, self._loaded.path, self._reload_soon)
        links = []
        for server in settings.server:
            folder = folder_for(self._loaded.state, server.ws_url, settings.agent_uuid)
            links.append(Link(settings, server, workshop, Journal(folder), self._clock, _dice))
        running = [asyncio.create_task(link.run()) for link in links]
        ended = [asyncio.create_task(event.wait()) for event in (self._stop, self._changed)]
        await asyncio.wait([*running, *ended], return_when=asyncio.FIRST_COMPLETED)
        seconds = settings.stop_timeout_ms / 1000 if self._stop.is_set() else RELOAD_STOP_S
        await asyncio.gather(*(link.stop(seconds) for link in links))
        for task in (*running, *ended):
            task.cancel()
        found = await asyncio.gather(*running, return_exceptions=True)
        for one in found:
            if isinstance(one, Exception):
                raise one

    def _reload_soon(self) -> None:
        asyncio.get_running_loop().call_later(RELOAD_S, self._changed.set)

    def _reload(self) -> None:
        assert self._loaded.path is not None
        try:
            self._loaded = load(self._loaded.path)
            log.info("settings read again")
        except (BadSettings, OSError) as error:
            log.error("settings unchanged: %s", error)


def _dice() -> float:
    return secrets.randbits(53) / (1 << 53)


def run(loaded: Loaded, clock: Callable[[], int]) -> None:
    """Work in this process until SIGTERM or SIGINT."""
    logging.basicConfig(
        level=loaded.settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("mainspring_agent.websockets").setLevel(logging.WARNING)

    async def main() -> None:
        agent = Agent(loaded, clock)
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, agent.ask_to_stop)
        await agent.run()

    asyncio.run(main())
