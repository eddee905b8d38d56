"""One trial: nodes under load, something happens to them, they are left to finish, and everything is checked."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from e2e.harness import wait_for
from faults.cluster import Node, nodes
from faults.evidence import Evidence, Shape, read_tables
from faults.invariants import broken
from faults.load import STEADY, Clients
from faults.proxy import Proxy
from faults.receiver import Receiver, clock
from postgres import Postgres

DRAIN_S = 150.0
"""A lease of 30 s, a look for lapsed ones every 10 s, and after that the runs that waited for their turn."""


class Trial:
    """What is running, and how it ends."""

    def __init__(
        self,
        database: Postgres,
        nodes: tuple[Node, ...],
        receiver: Receiver,
        proxy: Proxy,
        clients: Clients,
        say: Callable[[str], None],
    ) -> None:
        self.database = database
        self.nodes = nodes
        self.receiver = receiver
        self.proxy = proxy
        self.clients = clients
        self.away: set[Node] = set()
        """Nodes that are not expected to answer now."""
        self._say = say
        self._url = database.url("postgres", tcp=True)
        self._pause = threading.Event()

    def go_on(self, seconds: float) -> None:
        """Let the load go on for this long; its length is not what is tested."""
        self._pause.wait(seconds)

    def ask(self, text: str) -> list[tuple[object, ...]]:
        """One statement, past the proxy."""
        return [tuple(row) for row in asyncio.run(self.database.execute(text))]

    def busiest(self, among: Collection[Node]) -> Node:
        """Of some nodes one that has attempts in flight now, if need be after a while: the one that has the most."""
        names = {f"{socket.gethostname()}:{node.pid}": node for node in among}

        def found() -> Node | None:
            return next((names[str(name)] for (name,) in self.ask(_IN_FLIGHT) if name in names), None)

        node: Node = wait_for("a node to send something", found)
        return node

    def number_of(self, node: Node) -> int:
        """Its number, which is part of every row key that it makes."""
        [(number,)] = self.ask(f"SELECT number FROM nodes WHERE name = '{socket.gethostname()}:{node.pid}'")
        assert isinstance(number, int)
        return number

    @contextlib.contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Something happens; afterwards it is waited for that all goes on, and told what it cost."""
        since, fired = clock(), len(self.receiver.requests)
        yield
        healed = clock()
        first = wait_for("a fire after the fault", lambda: self.receiver.first_after(healed))
        told = len(self.clients.told)
        wait_for("an acknowledged write after the fault", lambda: len(self.clients.told) > told)
        here = [node for node in self.nodes if node not in self.away]
        wait_for("every node to be ready", lambda: all(node.readiness() == 200 for node in here), 60)
        self._say(
            f"survived: {name}: {len(self.receiver.requests) - fired} requests to the target meanwhile, no client "
            f"answered for at most {self.clients.silence(since)} ms, first fire {first - healed} ms after it was over"
        )

    def conclude(self) -> Evidence:
        """Stop the load, let everything drain, check all of it; what was found."""
        self.clients.stop()
        settled = max([clock(), *(one.shape.run_at for one in self.clients.told if one.shape.run_at is not None)])
        wait_for("the scheduler to come past the end of the load", lambda: not self.ask(_BEHIND.format(settled)), 60)
        assert [node.stop() for node in self.nodes] == [0] * len(self.nodes)
        drain = self.nodes[0]
        drain.start("--roles", "api,dispatcher")
        wait_for("all runs to end", lambda: not self.ask(_UNFINISHED), DRAIN_S)
        assert drain.stop() == 0
        tables = asyncio.run(read_tables(self._url))
        strange = [*self.clients.strange, *(line for node in self.nodes for line in node.strange())]
        found = tables.but(
            requests=self.receiver.requests, told=tuple(self.clients.told), settled=settled, strange=tuple(strange)
        )
        self._say(
            f"checked: {len(found.runs)} runs, {len(found.requests)} requests, {len(found.told)} acknowledged writes, "
            f"{sum(gap.count for gap in found.gaps)} instants skipped or missed, {cut_short(found)} attempts cut short"
        )
        wrong = broken(found)
        assert not wrong, "\n".join(f"{rule}\n    " + "\n    ".join(lines) for rule, lines in wrong.items())
        assert len(found.told) > 2 * len(STEADY)
        return found


def cut_short(found: Evidence) -> int:
    """How many attempts ended with their node, or with its lease."""
    of_many = {one.run_id for one in found.attempts}
    alone = sum(run.error == "interrupted" for run in found.runs if run.id not in of_many)
    return alone + sum(one.error == "interrupted" for one in found.attempts)


TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_UNFINISHED = "SELECT id FROM runs WHERE state IN ('queued', 'running', 'retrying') LIMIT 1"
_IN_FLIGHT = """
SELECT n.name FROM runs AS r JOIN nodes AS n ON n.number = r.node WHERE r.state = 'running'
GROUP BY n.name ORDER BY count(*) DESC
"""
_BEHIND = "SELECT schedule_id FROM progress WHERE next_due_at <= {} LIMIT 1"


@contextlib.contextmanager
def trial(
    database: Postgres,
    folder: Path,
    *,
    more: tuple[Shape, ...] = (),
    say: Callable[[str], None] = print,
) -> Iterator[Trial]:
    """Three nodes under load: the first two reach the database directly, the third through the proxy, and its clock can
    be set wrong (`folder`/clock). `more`: schedules beside the usual ones."""
    seed = random.randrange(1 << 32)
    say(f"seed {seed}")
    with contextlib.ExitStack() as stack:
        receiver = Receiver()
        stack.callback(receiver.close)
        proxy = Proxy(database.port)
        stack.callback(proxy.close)
        direct = database.url("postgres", tcp=True)
        through = direct.replace(f":{database.port}/", f":{proxy.port}/")
        made = (
            Node(folder / "first", direct),
            Node(folder / "second", direct),
            Node(folder / "third", through, clock=folder / "clock"),
        )
        stack.enter_context(nodes(*made))
        clients = Clients(made, receiver, seed, (*STEADY, *more))
        stack.callback(clients.stop)
        yield Trial(database, made, receiver, proxy, clients, say)
