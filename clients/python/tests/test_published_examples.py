"""The examples that others have published for this API's Python client, with nothing but the import changed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Programs, Server

ACTIVATE = "from infrai import infra; infra.activate()"

CREATE = """
from infrai import infra
job = infra.cron.create(
    "0 9 * * *", # every day at 09:00
    "send-daily-digest",
    name="daily-digest",
    timezone="UTC",
    payload={"segment": "active-users"},
)
print("cron_id:", job.get("id") or job.get("cron_id"))
"""

LIST = """
from infrai import infra
for j in infra.cron.list().get("items", []):
    print(j.get("cron_id"), j.get("schedule"), "next:", j.get("next_run_at"))
"""

PUBLISH = """
from infrai import infra
msg = infra.queue.publish(
    "send-daily-digest",
    {"user_id": "u_123", "kind": "manual-trigger"},
    delay_seconds=0,
)
print("message_id:", msg.get("message_id") or msg.get("id"))
"""

SEND = """
from infrai import infra
d = infra.webhook.send("https://api.example.com/hooks/order",
    {"order_id": "ord_42", "status": "paid"})
print("delivery:", d.get("delivery_id"), "| state:", d.get("state"))
"""

ACCOUNT = """
from infrai import infra, ai, account
print(account.balance().get("balance_usd"), infra.activate(region="auto", device_kind="cli").ok)
""".replace(", ai", "")


def ours(code: str) -> str:
    return code.replace("from infrai import", "from mainspring_client import")


@pytest.fixture
def at_home(programs: Programs, dev_server: Server) -> Programs:
    """A user who has activated, and whose shell says nothing but the address."""
    programs.server = dev_server
    programs.run(ours(ACTIVATE), MAINSPRING_API_KEY="", MAINSPRING_URL=dev_server.url)
    return programs


def run(programs: Programs, code: str) -> str:
    return programs.run(ours(code), MAINSPRING_API_KEY="", MAINSPRING_URL="")


def test_activate_leaves_what_every_other_program_needs(at_home: Programs, dev_server: Server) -> None:
    path = at_home.home / ".mainspring" / "credentials"
    kept = json.loads(path.read_text())
    assert set(kept) == {"url", "api_key"}
    assert kept["url"] == dev_server.url
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_job_is_created_and_listed(at_home: Programs) -> None:
    created = re.fullmatch(r"cron_id: (cron_\w+)\n", run(at_home, CREATE))
    assert created
    assert f"{created[1]} 0 9 * * * next: 2" in run(at_home, LIST)


def test_a_message_is_published(at_home: Programs) -> None:
    assert re.fullmatch(r"message_id: msg_\w+\n", run(at_home, PUBLISH))


def test_a_webhook_is_sent(at_home: Programs) -> None:
    assert re.fullmatch(r"delivery: dlv_\w+ \| state: \w+\n", run(at_home, SEND))


def test_the_account_is_there_too(at_home: Programs) -> None:
    assert run(at_home, ACCOUNT) == "0 True\n"


def test_the_key_of_the_other_service_s_variable_will_do(programs: Programs, server: Server) -> None:

    environment = {"MAINSPRING_API_KEY": "", "MAINSPRING_URL": "", "INFRAI_API_KEY": programs.key}
    assert re.fullmatch(
        r"message_id: msg_\w+\n", programs.run(ours(PUBLISH), INFRAI_BASE_URL=server.url + "/v1", **environment)
    )


def test_activate_on_a_server_that_gives_no_keys_away(programs: Programs, tmp_path: Path) -> None:
    code = "from mainspring_client import infra, NoKey\ntry: print(infra.activate().ok)\nexcept NoKey as e: print(e)"
    assert programs.run(code) == "True\n"
    assert not (tmp_path / ".mainspring").exists()
    assert "mainspring key create" in programs.run(code, MAINSPRING_API_KEY="")
