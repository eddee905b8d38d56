"""Wakes the loops of this process. What wakes those of other nodes is the store's."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.loops.bells import Bells
from mainspring.loops.pusher import Pusher
from mainspring.loops.service import Service


class Wakeups:
    """The loops by name, and where consumers wait. `expect` is the tide's; without a `pusher` nothing is pushed."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.bells = Bells()
        self.expect: Callable[[int], bool] | None = None
        self.pusher: Pusher | None = None

    def scheduler(self) -> None:
        self._wake("scheduler")

    def dispatcher(self, *, hurry: bool = False) -> None:
        self._wake("dispatcher", hurry=hurry)
        if not hurry:
            self._wake("scripts")
            self._wake("agents")

    def scripts(self) -> None:
        """For the runner of scripts: one has ended."""
        self._wake("scripts")

    def agents(self) -> None:
        """For the agents' loop: something was handed over, or an agent has come or gone."""
        self._wake("agents")

    def messages(self, queue_id: int, count: int) -> None:
        self.bells.ring(queue_id, count)
        if self.pusher is not None and self.pusher.stir(queue_id):
            self._wake("pusher")

    def tide(self, at: int) -> None:
        if self.expect is not None and self.expect(at):
            self._wake("tide")

    def subscriptions(self) -> None:
        if self.pusher is not None:
            self.pusher.reread()
            self._wake("pusher")

    def pushed(self, hurry: bool) -> None:
        """For the pusher: some of its pushes have ended, and enough of them to hurry or not."""
        self._wake("pusher", hurry=hurry)

    def _wake(self, name: str, *, hurry: bool = False) -> None:
        if service := self.services.get(name):
            if hurry:
                service.hurry()
            else:
                service.wake()
