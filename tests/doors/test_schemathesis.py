from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from doors.live import KEY, serving

TESTS = Path(__file__).parents[1]
CHECKS = "all"
CANONICAL = "^/v1/(cron|queue|webhook|account|discovery|activate|scheduling/(task|run))"


@pytest.mark.e2e
async def test_the_api_keeps_what_its_document_promises(tmp_path: Path) -> None:
    """Valid input is accepted, invalid refused; never a 500, always the documented statuses, headers and shapes."""
    async with serving(tmp_path, dev=True) as live:
        [key] = (await live.get("/v1/account/keys/list")).data["items"]
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            *("run", f"{live.url}/openapi.json", "--header", f"Authorization: Bearer {KEY}"),
            *("--include-path-regex", CANONICAL, "--phases", "examples,coverage,fuzzing,stateful"),
            *("--checks", CHECKS, "--continue-on-failure", "--max-examples", "12", "--seed", "7", "--no-color"),
            cwd=tmp_path,
            env=os.environ
            | {"PYTHONPATH": str(TESTS), "SCHEMATHESIS_HOOKS": "doors.fuzzing", "FUZZING_KEY_ID": key["id"]},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode()
        statuses = {status for _, status, _ in live.observed}
    assert process.returncode == 0, output
    tested = re.search(r"Tested: (\d+)", output)
    assert tested is not None
    assert int(tested[1]) >= 47
    assert {200, 400, 401, 404, 405, 409, 422} <= statuses
    assert 500 not in statuses
