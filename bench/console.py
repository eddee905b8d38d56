"""Every screen of the console in front of 100,000 schedules, 1,000,000 runs and 1,000,000 messages.

python -m bench.console [--json] [--quick] [--postgres]

With --postgres the filled store is moved there by `mainspring migrate` and measured again.

Server time: from the request to the last byte of the page, over a kept connection, the median and the slowest of ten.
First paint and weight: in a Chromium that has seen nothing before, everything that the page loads counted.
"""

from __future__ import annotations

import asyncio
import http.client
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from playwright.sync_api import sync_playwright

from bench.queue_engine import fill, plain, queue_of
from bench.report import emit, percentile
from bench.rig import Server, wait_until_quiet
from e2e.harness import Target
from mainspring.core.queue_model import NewMessage, Publish
from mainspring.store.sqlite import connect
from mainspring.store.store import open_sqlite
from postgres import server as postgres_server
from tools.stage import Screen, Stage

QUICK = "--quick" in sys.argv
SCHEDULES, RUNS, MESSAGES = (1_000, 10_000, 10_000) if QUICK else (100_000, 1_000_000, 1_000_000)
TIMES = 10
SUPER = "superkey12345678:secret-of-the-super-token-000000"
WANTED = {"server_ms": 150.0, "paint_ms": 1_000.0, "weight_kb": 300.0}
DAY = 86_400_000
_N = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"


def now() -> int:
    return time.time_ns() // 1_000_000


def fill_schedules(path: Path) -> None:
    """Copies of one schedule that was made in the ordinary way, yearly, and their runs of the last 30 days: one in
    fifty failed; each schedule has the same number, but the newest, which has 10,000 in all."""
    connection = connect(path)
    at = now()
    [(model,)] = connection.execute("SELECT id FROM schedules WHERE name = 'weekly digest'")
    [(top,)] = connection.execute("SELECT max(number) FROM schedules")
    for table, key in (("targets", "id"), ("schedules", "id"), ("progress", "schedule_id")):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        moved = {
            key: f"t.{key} + n.i",
            "number": f"{top} + n.i",
            "target_id": "t.target_id + n.i",
            "schedule_id": "t.schedule_id + n.i",
            "name": "'job ' || n.i || ' of shop ' || (n.i % 97)",
            "cron_expr": "printf('%d %d %d %d *', n.i % 60, n.i / 60 % 24, n.i % 28 + 1, n.i % 12 + 1)",
            "next_due_at": f"{at + DAY} + n.i * 97000 % {360 * DAY}",
            "last_state": "CASE n.i % 50 WHEN 0 THEN 'failed' ELSE 'succeeded' END",
            "last_run_at": f"{at} - n.i",
        }
        cells = ", ".join(moved.get(column, f"t.{column}") for column in columns)
        which = "WHERE t.schedule_id = ?2" if table != "schedules" else "WHERE t.id = ?2"
        connection.execute(
            f"{_N.replace('?', '?1')} INSERT INTO {table} SELECT {cells} FROM {table} AS t, n {which}",
            (SCHEDULES - 1, model),
        )
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'schedules'", (SCHEDULES,))
    connection.execute(
        f"{_N} INSERT INTO runs (id, schedule_id, project, kind, lane, trigger, scheduled_for, created_at, target_id, "
        "origin, state, attempt, started_at, attempt_started_at, sent_at, finished_at, status, body, error) "
        "SELECT s.id + 100000000 + n.i, CASE WHEN n.i % 100 = 0 THEN s.id ELSE s.id + n.i % ? END, s.project, 'cron', "
        "'http', 'schedule', ? + n.i * ?, ? + n.i * ?, s.target_id, s.origin, "
        "CASE n.i % 50 WHEN 0 THEN 'failed' ELSE 'succeeded' END, 1, ? + n.i * ?, ? + n.i * ?, ? + n.i * ? + 5, "
        "? + n.i * ? + 5 + n.i % 900, CASE n.i % 50 WHEN 0 THEN 500 ELSE 200 END, randomblob(200), "
        "CASE n.i % 50 WHEN 0 THEN 'the target answered 500' END "
        "FROM (SELECT * FROM schedules WHERE id = ?) AS s, n",
        (RUNS, SCHEDULES, *(at - 30 * DAY, 30 * DAY // RUNS) * 6, model),
    )
    connection.close()


async def fill_messages(path: Path) -> None:
    """A million waiting in one queue, and 200 queues with some."""
    store = await open_sqlite(path, now)
    try:
        await fill(store, await queue_of(store, "full"), MESSAGES, plain)
        for number in range(200):
            queue = await queue_of(store, f"shop-{number}")
            await store.publish(Publish(queue, tuple(NewMessage(b'{"n":1}', 9) for _ in range(5))))
    finally:
        await store.close()


def signed_in(server: Server) -> str:
    """The cookie of a session."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    form = urlencode({"credential": server.key})
    connection.request("POST", "/console/sign-in", form, {"Content-Type": "application/x-www-form-urlencoded"})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return str(reply.getheader("Set-Cookie")).partition(";")[0]


def server_times(server: Server, cookie: str, screen: Screen) -> list[float]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    spent = []
    for _ in range(TIMES):
        began = time.perf_counter()
        connection.request("GET", f"/console{screen.path}", headers={"Cookie": cookie})
        reply = connection.getresponse()
        reply.read()
        spent.append((time.perf_counter() - began) * 1000)
        assert reply.status == 200, (screen, reply.status)
    connection.close()
    return spent


def paints(server: Server, cookie: str, screens: list[Screen]) -> dict[str, tuple[float, float]]:
    """First contentful paint in ms and everything loaded in KB, by screen; each in a browser of its own."""
    found = {}
    program = next(path for name in ("chromium", "google-chrome") if (path := shutil.which(name)))
    name, _, value = cookie.partition("=")
    with sync_playwright() as playwright:
        for screen in screens:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            context = browser.new_context()
            context.add_cookies([{"name": name, "value": value, "url": server.url + "/console"}])
            page = context.new_page()
            page.goto(f"{server.url}/console{screen.path}", wait_until="load")
            while not page.evaluate("performance.getEntriesByName('first-contentful-paint').length"):
                page.wait_for_timeout(20)
            paint, weight = page.evaluate(
                "[performance.getEntriesByName('first-contentful-paint')[0].startTime,"
                " [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
                ".reduce((sum, one) => sum + one.encodedBodySize, 0) / 1000]"
            )
            found[screen.name] = float(paint), float(weight)
            browser.close()
    return found


def measure(server: Server, stage: Stage) -> dict[str, Any]:
    more = [
        Screen("schedules by name", "/schedules?q=shop+13"),
        Screen("schedules failing", "/schedules?state=failing"),
        Screen("runs failed", "/runs?state=failed"),
        Screen("queue of a million", "/queues/full"),
    ]
    screens = [*stage.screens(), *more]
    cookie = signed_in(server)
    for screen in screens:
        server_times(server, cookie, screen)  # templates are compiled and pages are read once before
    painted = paints(server, cookie, screens)
    figures: dict[str, Any] = {}
    print(f"  {'screen':<20} {'server p50':>10} {'max':>8} {'paint':>8} {'weight':>9}")
    for screen in screens:
        spent = server_times(server, cookie, screen)
        paint, weight = painted[screen.name]
        row = {
            "server_ms": round(percentile(spent, 0.5), 1),
            "server_max_ms": round(max(spent), 1),
            "paint_ms": round(paint),
            "weight_kb": round(weight),
        }
        over = [key for key, most in WANTED.items() if row[key] > most]
        figures[screen.name] = row
        print(
            f"  {screen.name:<20} {row['server_ms']:>7} ms {row['server_max_ms']:>5} ms {row['paint_ms']:>5} ms "
            f"{row['weight_kb']:>6} KB{'   over: ' + ', '.join(over) if over else ''}",
            flush=True,
        )
    return figures


def judged(server: Server, stage: Stage) -> dict[str, Any]:
    if not QUICK:
        wait_until_quiet(20)
    figures = measure(server, stage)
    worst = {key: max(row[key] for row in figures.values()) for key in WANTED}
    print(f"  the worst of each: {worst}; wanted at most {WANTED}", flush=True)
    return {"screens": figures, "worst": worst}


def move(data: Path, url: str) -> None:
    began = time.monotonic()
    line = ("migrate", "--from", f"sqlite:{data / 'mainspring.db'}", "--to", url)
    subprocess.run([sys.executable, "-m", "mainspring", *line], check=True, stdout=subprocess.DEVNULL)
    print(f"  moved to PostgreSQL in {time.monotonic() - began:.0f} s", flush=True)


def main() -> int:
    data = Path(tempfile.mkdtemp(prefix="mainspring-bench-"))
    target = Target()
    target.answers["/fail"] = 500
    server = Server(data)
    try:
        settings = {"MAINSPRING_SUPER_TOKEN": SUPER}
        server.start(**settings)
        stage = Stage(server.url, server.key, SUPER, target.url)
        stage.build()
        server.stop()
        began = time.monotonic()
        fill_schedules(data / "mainspring.db")
        asyncio.run(fill_messages(data / "mainspring.db"))
        print(f"  filled in {time.monotonic() - began:.0f} s", flush=True)
        server.start(**settings)
        stage.url = server.url
        found = {"sqlite": judged(server, stage)}
        if "--postgres" in sys.argv:
            server.stop()
            with postgres_server(shared_buffers="1GB", max_connections="200") as postgres:
                url = postgres.url(asyncio.run(postgres.fresh()), tcp=True)
                settings |= {
                    "MAINSPRING_DATABASE": url,
                    "MAINSPRING_SECRET_KEY": (data / "secret.key").read_text().strip(),
                }
                move(data, url)
                server.start(**settings)
                stage.url = server.url
                found["postgres"] = judged(server, stage)
                server.stop()
        emit("console", found)
        return 0
    finally:
        server.stop()
        target.close()
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
