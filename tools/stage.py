"""A running server filled with a little of everything, for pictures and for tests of the console.

Everything is made through the doors, as users make it. Names may be plain or hostile: `dress` turns each into what is
stored.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

AGENT = "00000000-0000-0000-0000-0000000000a1"
PATIENCE_S = 30.0
SCRIPT = """export default {
  async onCall(params, env, ctx) {
    return { greeting: `Hello, ${params.name ?? "world"}`, at: ctx.runType };
  },
};
"""


class Screen(NamedTuple):
    """One screen of the console with something on it. `path` is within the console."""

    name: str
    path: str


class Stage:
    """What was made, and where it is seen."""

    def __init__(self, url: str, key: str, super_token: str, target: str, dress: Callable[[str], str] = str) -> None:
        self.url = url
        self._key = key
        self._super = super_token
        self._target = target
        self.dress = dress
        self.ids: dict[str, str] = {}
        self.with_agent = False

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the REST API; its data."""
        answer = self._send(method, path, body, {"Authorization": f"Bearer {self._key}"})
        assert answer.get("ok") is not False, (method, path, answer)
        return answer.get("data", answer)

    def rpc(self, method: str, **params: Any) -> Any:
        """One call of the JSON-RPC API with the super token; its result."""
        answer = self._ask(method, params)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _ask(self, method: str, params: dict[str, Any]) -> Any:
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"token": self._super, **params}}
        return self._send("POST", "/", asked, {})

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            payload = None if body is None else json.dumps(body).encode()
            connection.request(method, path, payload, {**headers, "Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def build(self) -> None:
        """Make everything, and wait until it has happened."""
        self._schedules()
        self._queues()
        self._webhooks()
        self._scripts()
        self._keys()

    def _schedules(self) -> None:
        hook = self._target + "/ok"
        jobs: list[tuple[str, dict[str, Any]]] = [
            ("reports", {"name": "nightly reports", "cron_expr": "30 2 * * *", "timezone": "Europe/Berlin"}),
            ("beat", {"name": "heartbeat", "cron_expr": "*/2 * * * * *", "payload": {"from": self.dress("heart")}}),
            ("weekly", {"name": "weekly digest", "cron_expr": "0 9 * * MON", "timezone": "Asia/Shanghai"}),
            ("cleaning", {"name": "clean up", "cron_expr": "15 */6 * * *", "overlap_policy": "queue"}),
            (
                "failing",
                {"name": "sync inventory", "cron_expr": "0 0 1 1 *", "task": self._target + "/fail", "retry": 1},
            ),
            ("paused", {"name": "old import", "cron_expr": "@hourly"}),
        ]
        for name, fields in jobs:
            given = {"task": hook, "retry_delays": [0.2], **fields}
            if "retry" not in fields:
                given.pop("retry_delays")
            given["name"] = self.dress(fields["name"])
            self.ids[name] = self.call("POST", "/v1/cron/create", given)["id"]
        self.call("POST", f"/v1/cron/pause/{self.ids['paused']}")
        self.ids["failed run"] = self.call("POST", f"/v1/cron/trigger/{self.ids['failing']}")["run_id"]
        self.ids["run"] = self.call("POST", f"/v1/cron/trigger/{self.ids['reports']}")["run_id"]
        self.call("POST", f"/v1/cron/trigger/{self.ids['cleaning']}")
        task = {"task": hook, "run_at": "2030-01-01T00:00:00Z", "name": self.dress("new year")}
        self.ids["task"] = self.call("POST", "/v1/scheduling/task/schedule", task)["id"]
        for run, cron, state in (("failed run", "failing", "failed"), ("run", "reports", "succeeded")):
            self._until(partial(self._state_of_run, cron, run), state)

    def _state_of_run(self, cron: str, run: str) -> str:
        return str(self.call("GET", f"/v1/cron/runs/get/{self.ids[cron]}/{self.ids[run]}")["state"])

    def _state_of_delivery(self, delivery: str) -> str:
        return str(self.call("GET", f"/v1/webhook/get/{delivery}")["state"])

    def _queues(self) -> None:
        self.call("POST", "/v1/queue/create", {"queue": "orders", "max_retries": 0})
        self.call("POST", "/v1/queue/create", {"queue": "invoices", "type": "fifo"})
        for number in range(12):
            payload = {"order": number, "customer": self.dress("Ada"), "lines": [{"sku": f"A-{number}", "count": 2}]}
            self.call("POST", "/v1/queue/publish", {"queue": "orders", "payload": payload, "priority": number % 3})
        for number in range(4):
            body = {
                "queue": "invoices",
                "payload": {"invoice": number},
                "group_id": self.dress(f"customer-{number % 2}"),
                "delay_seconds": 60,
            }
            self.call("POST", "/v1/queue/publish", body)
        taken = self.call("POST", "/v1/queue/consume", {"queue": "orders", "max_messages": 3})["messages"]
        for message in taken[:2]:
            body = {
                "queue": "orders",
                "message_id": message["message_id"],
                "receipt": message["receipt"],
                "requeue": False,
            }
            self.call("POST", "/v1/queue/nack", body)
        self.ids["dead letter"] = taken[0]["message_id"]
        self.ids["message"] = taken[2]["message_id"]
        push = {"url": self._target + "/pushed", "max_concurrency": 2}
        self.call("POST", "/v1/queue/push_subscribe/pushed", push)
        self.call("POST", "/v1/queue/publish", {"queue": "pushed", "payload": {"pushed": self.dress("yes")}})

    def _webhooks(self) -> None:
        for name, path, events in (("endpoint", "/hook", ["order.*"]), ("broken", "/fail", ["*"])):
            body = {
                "url": self._target + path,
                "events": events,
                "description": self.dress(f"the {name}"),
                "retry_policy": {"max_attempts": 1},
            }
            self.ids[name] = self.call("POST", "/v1/account/webhooks/register", body)["id"]
        emitted = self.call(
            "POST", "/v1/webhook/emit", {"event": "order.created", "payload": {"order": self.dress("seven")}}
        )
        states = {
            self._until(partial(self._state_of_delivery, delivery), "delivered", "failed"): delivery
            for delivery in emitted["delivery_ids"]
        }
        self.ids["delivery"], self.ids["failed delivery"] = states["delivered"], states["failed"]

    def _scripts(self) -> None:
        source = base64.b64encode(SCRIPT.encode()).decode()
        self.rpc("js-worker_create", name="greet", js_script_base64=source, description=self.dress("says hello"))
        self.rpc("js-worker_run", js_script_name="greet", run_type="call", params={"name": self.dress("Grace")})

    def employ(self) -> None:
        """Have the agent, which is being started, do a few things; wait until it has."""
        self.with_agent = True
        for task in (
            {"tcp_ping": urlsplit(self._target).netloc},
            "version",
            {"execute": {"cmd": "uname", "args": ["-s"]}},
        ):
            until = time.monotonic() + PATIENCE_S
            asked = {"target_uuid": AGENT, "task_type": task, "timeout_ms": 10_000}
            while "error" in self._ask("task_create_task_blocking", asked):
                assert time.monotonic() < until, f"the agent has not done {task}"
                time.sleep(0.2)

    def _keys(self) -> None:
        self.call("POST", "/v1/account/keys/create", {"name": self.dress("a reader"), "scopes": ["cron:read"]})

    @staticmethod
    def _until(look: Callable[[], str], *wanted: str) -> str:
        until = time.monotonic() + PATIENCE_S
        while (seen := look()) not in wanted:
            assert time.monotonic() < until, f"it is {seen}, not {' or '.join(wanted)}"
            time.sleep(0.05)
        return seen

    def screens(self) -> list[Screen]:
        """Every screen, with something on it."""
        ids = self.ids
        queue = "/queues/orders"
        endpoint = f"/webhooks/{ids['endpoint']}"
        agent = [Screen("agent", f"/agents/{AGENT}")] if self.with_agent else []
        return [
            Screen("overview", ""),
            Screen("schedules", "/schedules"),
            Screen("schedules-once", "/schedules?once=1"),
            Screen("schedule", f"/schedules/{ids['beat']}"),
            Screen("schedule-task", f"/schedules/{ids['task']}"),
            Screen("schedule-new", "/schedules/new"),
            Screen("schedule-edit", f"/schedules/{ids['reports']}/edit"),
            Screen("runs", "/runs"),
            Screen("runs-failed", "/runs?state=failed"),
            Screen("run", f"/runs/{ids['failed run']}"),
            Screen("queues", "/queues"),
            Screen("queues-dead", "/queues/dead"),
            Screen("queue-new", "/queues/new"),
            Screen("queue", queue),
            Screen("queue-messages", queue + "/messages"),
            Screen("queue-message", f"{queue}/messages/{ids['message']}"),
            Screen("queue-publish", queue + "/publish"),
            Screen("queue-dead", queue + "/dead"),
            Screen("queue-push", queue + "/push"),
            Screen("queue-settings", queue + "/settings"),
            Screen("webhooks", "/webhooks"),
            Screen("webhook", endpoint),
            Screen("webhook-new", "/webhooks/new"),
            Screen("webhook-edit", endpoint + "/edit"),
            Screen("webhook-emit", "/webhooks/emit"),
            Screen("deliveries", "/webhooks/deliveries"),
            Screen("delivery", f"/webhooks/deliveries/{ids['failed delivery']}"),
            Screen("agents", "/agents"),
            *agent,
            Screen("scripts", "/scripts"),
            Screen("script-new", "/scripts/-/new"),
            Screen("script-results", "/scripts/-/results"),
            Screen("script-result", "/scripts/-/results/1"),
            Screen("script", "/scripts/greet"),
            Screen("settings", "/settings"),
            Screen("settings-keys", "/settings/keys"),
            Screen("settings-tokens", "/settings/tokens"),
            Screen("settings-audit", "/settings/audit"),
            Screen("settings-retention", "/settings/retention"),
        ]
