"""What Prometheus reads is what happened."""

from __future__ import annotations

import re

from mainspring.core.events import (
    AttemptEnded,
    Fired,
    LeasesExpired,
    LoopFailed,
    MessagesPublished,
    MessagesReceived,
    MessagesSettled,
    QueueDeadLettered,
)
from mainspring.observe.metrics import Metrics


def series(metrics: Metrics, name: str) -> dict[str, float]:
    """The samples of one name, by their labels."""
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", metrics.text().decode(), re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_answers_are_counted_by_operation_and_status_and_by_length() -> None:
    metrics = Metrics()
    metrics.on_request("cron.list", 200, 400)
    metrics.on_request("cron.list", 200, 2_000)
    metrics.on_request("cron.get", 404, 40_000_000)
    assert series(metrics, "mainspring_requests_total") == {
        'operation="cron.list",status="200"': 2,
        'operation="cron.get",status="404"': 1,
    }
    buckets = series(metrics, "mainspring_request_seconds_bucket")
    assert buckets['le="0.0005"'] == 1
    assert buckets['le="0.0025"'] == 2
    assert buckets['le="30.0"'] == 2
    assert buckets['le="+Inf"'] == 3
    assert series(metrics, "mainspring_request_seconds_count") == {"": 3}
    assert series(metrics, "mainspring_request_seconds_sum") == {"": 40.0024}


def test_messages_are_counted_as_they_go() -> None:
    metrics = Metrics()
    for event in (
        MessagesPublished(messages=5),
        MessagesReceived(messages=4),
        MessagesSettled(verb="ack", messages=2),
        MessagesSettled(verb="nack", messages=1),
        LeasesExpired(messages=1),
        QueueDeadLettered(project="default", queue="q", messages=1),
    ):
        metrics.on_event(event)
    assert series(metrics, "mainspring_messages_published_total") == {"": 5}
    assert series(metrics, "mainspring_messages_received_total") == {"": 4}
    settled = series(metrics, "mainspring_messages_settled_total")
    assert settled == {'verb="ack"': 2, 'verb="nack"': 1, 'verb="release"': 0, 'verb="extend"': 0}
    assert series(metrics, "mainspring_messages_leases_expired_total") == {"": 1}
    assert series(metrics, "mainspring_messages_dead_lettered_total") == {"": 1}


def test_a_bound_belongs_to_its_own_bucket() -> None:
    metrics = Metrics()
    metrics.on_request("cron.list", 200, 500)
    assert series(metrics, "mainspring_request_seconds_bucket")['le="0.0005"'] == 1


def test_events_become_counts() -> None:
    metrics = Metrics()
    metrics.on_event(Fired(schedules=3, runs=2, skipped=4, missed=5))
    metrics.on_event(LoopFailed(loop="janitor", error="x"))
    ended = AttemptEnded(
        project="p",
        run_id=1,
        schedule_id=1,
        trigger="schedule",
        attempt=1,
        state="retrying",
        status=500,
        error="HTTP status 500",
        lateness_ms=30,
        duration_ms=70,
    )
    metrics.on_event(ended)
    assert series(metrics, "mainspring_fires_total") == {"": 2}
    assert series(metrics, "mainspring_instants_skipped_total") == {"": 4}
    assert series(metrics, "mainspring_instants_missed_total") == {"": 5}
    assert series(metrics, "mainspring_loop_failures_total") == {'loop="janitor"': 1}
    assert series(metrics, "mainspring_attempts_total")['state="retrying"'] == 1
    assert series(metrics, "mainspring_lateness_seconds_bucket")['le="0.05"'] == 1
