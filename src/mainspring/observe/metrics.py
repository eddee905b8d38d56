"""Prometheus metrics: counts and histograms of the core's events and the API's answers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import get_args

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from mainspring import __version__
from mainspring.core.events import (
    AttemptEnded,
    Claimed,
    Event,
    Fired,
    LeasesExpired,
    LoopFailed,
    MessagesPublished,
    MessagesReceived,
    MessagesSettled,
    Pruned,
    PushEnded,
    QueueDeadLettered,
    Rescued,
    ResultFenced,
    ScheduleBroken,
)
from mainspring.core.queue_model import Verb

_LATENESS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 3600)
_DURATION = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_REQUEST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


# A second series per counter that says only when this process began; process_start_time_seconds says it too.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves this one untyped


class Requests:
    """API answers and their length. Counted for every request, so in plain numbers (the library's own objects take
    2 µs of the 24 µs that a request may cost); they become series when somebody looks."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, int], int] = {}
        self._bounds = [round(seconds * 1_000_000) for seconds in _REQUEST]
        self._buckets = [0] * (len(_REQUEST) + 1)
        self._total = 0

    def count(self, operation: str, status: int, microseconds: int) -> None:
        answer = operation, status
        self._answers[answer] = self._answers.get(answer, 0) + 1
        self._buckets[bisect_left(self._bounds, microseconds)] += 1
        self._total += microseconds

    def collect(self) -> Iterator[Metric]:
        """The series, as the registry asks for them."""
        answers = CounterMetricFamily("mainspring_requests", "API answers.", labels=["operation", "status"])
        for (operation, status), count in self._answers.items():
            answers.add_metric([operation, str(status)], count)
        yield answers
        names = [*(str(float(seconds)) for seconds in _REQUEST), "+Inf"]
        buckets = list(zip(names, accumulate(self._buckets), strict=True))
        yield HistogramMetricFamily(
            "mainspring_request_seconds", "Length of API calls.", buckets=buckets, sum_value=self._total / 1_000_000
        )


class Traffic:
    """Messages published, handed out, settled and failed; in plain numbers, for the same reason. They are of all queues
    together: names are for their owners to choose, and a series for each would grow without bound."""

    def __init__(self) -> None:
        self.published = self.received = self.expired = self.dead = 0
        self.settled = dict.fromkeys(get_args(Verb), 0)

    def collect(self) -> Iterator[Metric]:
        """The series, as the registry asks for them."""
        for name, what, count in (
            ("published", "Messages accepted by queues.", self.published),
            ("received", "Messages handed out to consumers.", self.received),
            ("dead_lettered", "Messages that became dead letters.", self.dead),
            ("leases_expired", "Leases that ended without a word from their holder.", self.expired),
        ):
            counted = CounterMetricFamily(f"mainspring_messages_{name}", what)
            counted.add_metric([], count)
            yield counted
        settled = CounterMetricFamily("mainspring_messages_settled", "Leased messages settled.", labels=["verb"])
        for verb, count in self.settled.items():
            settled.add_metric([verb], count)
        yield settled


class NodeFacts(msgspec.Struct, frozen=True):
    """How a node is doing among others: seconds left of its lease (negative: over), seconds its clock is ahead of the
    database's, how often and for how many seconds in all it waited for one of its own connections."""

    lease_s: float
    skew_s: float
    waits: int
    waited_s: float


class Node:
    """The series of a node among others, made when somebody looks; a server alone on its store has none of them."""

    def __init__(self) -> None:
        self.look: Callable[[], NodeFacts | None] = lambda: None

    def collect(self) -> Iterator[Metric]:
        """The series, as the registry asks for them."""
        facts = self.look()
        lease = GaugeMetricFamily("mainspring_node_lease_seconds", "Until this node stops writing, unless it renews.")
        skew = GaugeMetricFamily("mainspring_clock_skew_seconds", "This machine's clock minus the database's.")
        waits = CounterMetricFamily("mainspring_database_waits", "Waits because all connections were in use.")
        waited = CounterMetricFamily("mainspring_database_wait_seconds", "Length of those waits.")
        if facts is not None:
            lease.add_metric([], facts.lease_s)
            skew.add_metric([], facts.skew_s)
            waits.add_metric([], facts.waits)
            waited.add_metric([], facts.waited_s)
        yield from (lease, skew, waits, waited)


class Metrics:
    """One registry per server. `on_event` subscribes to the core, `on_request` to the doors."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        make = self._make
        self._fires = make(Counter, "mainspring_fires_total", "Runs made because a schedule was due.")
        self._skipped = make(Counter, "mainspring_instants_skipped_total", "Due instants skipped by overlap policy.")
        self._missed = make(Counter, "mainspring_instants_missed_total", "Due instants missed by catch-up policy.")
        self._claims = make(Counter, "mainspring_runs_claimed_total", "Attempts begun.")
        self._fenced = make(Counter, "mainspring_results_fenced_total", "Late results refused by their fencing token.")
        self._rescued = make(Counter, "mainspring_runs_rescued_total", "Runs taken back after a crash.")
        self._broken = make(Counter, "mainspring_schedules_broken_total", "Visits to schedules that cannot be planned.")
        self._pruned = make(Counter, "mainspring_runs_pruned_total", "Runs removed by retention.")
        self._attempts = Counter(
            "mainspring_attempts_total", "Attempts ended, by what became of the run.", ["state"], registry=self.registry
        )
        self._by_state = {
            state: self._attempts.labels(state) for state in ("succeeded", "failed", "retrying", "cancelled")
        }
        self._lateness = Histogram(
            "mainspring_lateness_seconds",
            "First byte sent minus due instant, of scheduled first attempts.",
            buckets=_LATENESS,
            registry=self.registry,
        )
        self._duration = Histogram(
            "mainspring_attempt_seconds", "Length of attempts.", buckets=_DURATION, registry=self.registry
        )
        self._loops = Counter(
            "mainspring_loop_failures_total", "Loop steps that raised.", ["loop"], registry=self.registry
        )
        self._requests = Requests()
        self.registry.register(self._requests)
        self._traffic = Traffic()
        self.registry.register(self._traffic)
        self.node = Node()
        self.registry.register(self.node)
        Gauge("mainspring_info", "The running version.", ["version"], registry=self.registry).labels(__version__).set(1)
        self._pushes = Counter(
            "mainspring_pushes_total",
            "Pushes ended, by what became of the message.",
            ["outcome"],
            registry=self.registry,
        )
        self._push_length = Histogram(
            "mainspring_push_seconds", "Length of pushes.", buckets=_DURATION, registry=self.registry
        )
        self.pushes_in_flight = Gauge("mainspring_pushes_in_flight", "Pushes under way.", registry=self.registry)
        self.waiting = Gauge("mainspring_consumers_waiting", "Consumers in a long poll.", registry=self.registry)
        self.in_flight = Gauge("mainspring_runs_in_flight", "Attempts under way.", registry=self.registry)

    def _make(self, kind: type[Counter], name: str, what: str) -> Counter:
        return kind(name, what, registry=self.registry)

    def on_event(self, event: Event) -> None:
        """Count one fact."""
        match event:
            case MessagesPublished():
                self._traffic.published += event.messages
            case MessagesReceived():
                self._traffic.received += event.messages
            case MessagesSettled():
                self._traffic.settled[event.verb] += event.messages
            case LeasesExpired():
                self._traffic.expired += event.messages
            case QueueDeadLettered():
                self._traffic.dead += event.messages
            case AttemptEnded():
                self._by_state[event.state].inc()
                self._duration.observe(event.duration_ms / 1000)
                if event.lateness_ms is not None and event.trigger == "schedule":
                    self._lateness.observe(event.lateness_ms / 1000)
            case Fired():
                self._fires.inc(event.runs)
                self._skipped.inc(event.skipped)
                self._missed.inc(event.missed)
            case Claimed():
                self._claims.inc(event.runs)
            case ResultFenced():
                self._fenced.inc()
            case Rescued():
                self._rescued.inc(event.runs)
            case Pruned():
                self._pruned.inc(event.runs)
            case ScheduleBroken():
                self._broken.inc()
            case PushEnded():
                self._pushes.labels(event.outcome).inc()
                self._push_length.observe(event.duration_ms / 1000)
            case LoopFailed():
                self._loops.labels(event.loop).inc()
            case _:
                pass

    def on_request(self, operation: str, status: int, microseconds: int) -> None:
        """Count one API answer."""
        self._requests.count(operation, status, microseconds)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
