from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from doors.live import KEY, Answer, serving

SECRET = "canary-signing-secret"
HEADER = "canary-header-value"
CANARIES = (SECRET, HEADER)


async def test_what_was_given_in_confidence_is_never_seen_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    answers: list[Answer] = []
    async with serving(tmp_path, dev=True) as live:

        async def call(method: str, path: str, body: Any = None, **options: Any) -> Any:
            answer = await live.call(method, path, body, **options)
            answers.append(answer)
            return answer.json.get("data") if path.startswith("/v1") else None

        fields = {"secret": SECRET, "headers": {"X-Token": HEADER}}
        job = await call("POST", "/v1/cron/create", {"cron_expr": "* * * * *", "task": f"{live.url}/none", **fields})
        await call("PATCH", f"/v1/cron/update/{job['id']}", {"headers": {"X-Token": "***", "X-Other": HEADER}})
        await call("PATCH", f"/v1/cron/update/{job['id']}", {"secret": SECRET + "2"})
        task = {"run_at": "2020-01-01T00:00:00Z", "task": f"{live.url}/none", "retry": 0, **fields}
        await call("POST", "/v1/scheduling/task/schedule", task, headers={"Idempotency-Key": "k"})
        await call("POST", "/v1/scheduling/task/schedule", task, headers={"Idempotency-Key": "k"})
        await call("POST", f"/v1/cron/trigger/{job['id']}")
        await live.work()
        for wrong in (
            {"secret": [SECRET]}, {"secret": SECRET * 30}, {"secret": f"whsec_{SECRET}"}, {"secret": {"x": SECRET}},
            {"headers": {"X-A": HEADER + "\n"}}, {"headers": [HEADER]}, {"headers": {"Host": HEADER}},
            {"headers": HEADER}, {"headers": {"X": HEADER * 1000}}, {"headers": {"a": HEADER, "A": HEADER}},
        ):  # fmt: skip
            assert await call("PATCH", f"/v1/cron/update/{job['id']}", wrong) is None
        raw = f'{{"secret": "{SECRET}", "headers": {{"X": "{HEADER}"}}, NaN}}'.encode()
        await call("POST", "/v1/cron/create", raw=raw)
        for path in ("cron/list", f"cron/get/{job['id']}", f"cron/runs/list/{job['id']}", "scheduling/task/list"):
            await call("GET", f"/v1/{path}")
        for path in ("/v1/scheduling/run/list", "/metrics", "/openapi.json"):
            await call("GET", path)
        key = await call("POST", "/v1/account/keys/create", {"name": "x"}, headers={"Idempotency-Key": "k"})
        keys = [key["key"], KEY]
        rotated = await call("POST", f"/v1/account/keys/rotate/{key['id']}")
        keys.append(rotated["key"])
        for path in ("/v1/account/keys/list", "/v1/account/balance"):
            for secret in keys:
                await call("GET", path, key=secret)
        await call("GET", "/v1/cron/list", key=keys[0] + "x")
        seen = b"".join(answer.raw for answer in answers)
        for canary in CANARIES:
            assert canary.encode() not in seen
        # Each of the two generated keys was shown once, when it was made; the third never.
        assert [seen.count(secret.encode()) for secret in keys] == [1, 0, 1]
        reports, observed = repr(live.reports), repr(live.observed)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    out, err = capfd.readouterr()
    told = caplog.text + out + err + reports + observed
    for canary in CANARIES:
        assert canary.encode() not in stored
        assert canary not in told
    for secret in keys:
        assert secret not in told
        assert secret.encode() not in stored
