"""The peer: APScheduler with jobs in memory, calling the sink with aiohttp. Arguments: sink URL, jobs, seconds."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import aiohttp
import uvloop
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger


async def main() -> None:
    url, jobs, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:

        async def call(number: int) -> None:
            due = datetime.now(UTC).replace(microsecond=0).isoformat()
            headers = {"Idempotency-Key": f"{number}-{due}", "X-Mainspring-Scheduled-For": due}
            async with session.post(url + "/peer", data=b"{}", headers=headers) as reply:
                await reply.read()

        scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"misfire_grace_time": 30, "max_instances": 100})
        for number in range(jobs):
            scheduler.add_job(call, CronTrigger(second="*", timezone=UTC), args=(number,))
        scheduler.start()
        await asyncio.sleep(seconds)
        scheduler.shutdown(wait=False)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
