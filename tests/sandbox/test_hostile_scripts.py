"""Scripts that mean harm: each ends within its limit, and neither the loop nor the memory of the server notices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from pathlib import Path

import pytest

from mainspring.core.limits import SCRIPT_HEAP_DEFAULT, SCRIPT_LOG_CHARS_MAX
from sandbox.sandboxing import Rig, Watch, reply, rig, target

LIMIT_MS = 500
MIB = 1024 * 1024


def calling(body: str) -> str:
    return f"export default {{ async onCall(params, env, ctx) {{ {body} }} }}"


TOO_LONG = "ran longer than"
MEMORY = "out of memory"
# Source → what its error must say.
ENDLESS = {
    "loop": (calling("for (;;);"), TOO_LONG),
    "loop at the top level": ("for (;;);\nexport default {}", TOO_LONG),
    "loop while it is imported": ("await new Promise(() => { for (;;); });\nexport default {}", TOO_LONG),
    "loop that catches": (calling("for (;;) { try { for (;;); } catch {} finally { continue; } }"), TOO_LONG),
    "microtasks": (calling("for (;;) await 0;"), TOO_LONG),
    "promises that make promises": (
        calling("(function again() { Promise.resolve().then(again); })(); await new Promise(() => {});"),
        TOO_LONG,
    ),
    "timers that make timers": (
        calling("(function again() { setTimeout(again, 0); })(); await new Promise(() => {});"),
        TOO_LONG,
    ),
    "an interval for ever": (calling("setInterval(() => {}, 1); await new Promise(() => {});"), TOO_LONG),
    "a regular expression": (calling("return /^(a+)+$/.test('a'.repeat(60) + 'b');"), TOO_LONG),
    "a comparison that loops": (calling("[1, 2].sort(() => { for (;;); });"), TOO_LONG),
    "a result that loops": (calling("return { toJSON() { for (;;); } };"), TOO_LONG),
    "a result whose promise loops": (calling("return { then() { for (;;); } };"), TOO_LONG),
    "an error that loops": (calling("throw { get stack() { for (;;); } };"), TOO_LONG),
    "a compiled loop": (calling("return new Function('for (;;);')();"), TOO_LONG),
    "a generator": (calling("for (const one of (function* () { for (;;) yield 1; })());"), TOO_LONG),
    "a proxy": (calling("return Object.keys(new Proxy({}, { ownKeys() { for (;;); } }));"), TOO_LONG),
    "waiting for the server": (calling("await fetch(params); return 1;"), TOO_LONG),
    "a promise of nothing": (calling("await new Promise(() => {});"), "never comes"),
    "array": (calling("const all = []; for (;;) all.push(new Array(1000).fill(0));"), MEMORY),
    "objects": (calling("let last = {}; for (;;) last = { last };"), MEMORY),
    "strings": (calling("const all = []; for (;;) all.push('x'.repeat(1e6) + all.length);"), MEMORY),
    "one string": (calling("let text = 'x'; for (;;) text = text + text + text.length; "), None),
    "buffers": (calling("const all = []; for (;;) all.push(new ArrayBuffer(1e6));"), MEMORY),
    "a map": (calling("const all = new Map(); for (let n = 0; ; n++) all.set(n, {});"), MEMORY),
    "closures": (calling("let f = () => 1; for (;;) { const g = f; f = () => g; }"), MEMORY),
    "a number": (calling("return `${2n ** (2n ** 40n)}`;"), None),
    "timers": (calling("for (;;) setTimeout(() => {}, 1e6);"), None),
    "memory again and again": (
        calling("for (;;) { try { const all = []; for (;;) all.push(new Array(1e5).fill(0)); } catch {} }"),
        TOO_LONG,
    ),
    "recursion": (calling("(function again() { again(); })();"), "call stack"),
    "a deep result": (calling("let a = []; for (let n = 0; n < 1e5; n++) a = [a]; return a;"), None),
    "a giant result": (calling("return 'x'.repeat(3e6);"), "larger than"),
    "a result that is none": (calling("return () => 1;"), "JSON"),
    "a result of half a letter": (calling("return '\\ud800';"), "JSON"),
    "an error that cannot be shown": (calling("throw { toString() { throw 1; } };"), "cannot be shown"),
    "requests without end": (calling("for (;;) { fetch('http://127.0.0.1:9/'); await 0; }"), None),
    "another module": ("import fs from 'fs';\nexport default {}", "could not load module"),
    "another module later": (calling("return await import('/etc/passwd');"), "could not load module"),
    "no module": ("this is no script", "SyntaxError"),
    "no handler": ("export default { onCron() {} }", "onCall"),
    "nothing": ("", "onCall"),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_every_script_ends_at_its_limit_and_holds_nobody_up(sandbox: Rig, name: str) -> None:
    source, wanted = ENDLESS[name]

    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    async with target(silent) as url:
        with Watch() as idle:
            began = time.perf_counter()
            await sandbox.of("return 1;")
            usual = time.perf_counter() - began
        with Watch() as watch:
            began = time.perf_counter()
            end = await sandbox.run(source, params=url, run_ms=LIMIT_MS)
            took = time.perf_counter() - began
    assert end.error is not None
    # A busy machine may not get as far as the limit of memory.
    assert wanted is None or wanted in end.error or (wanted == MEMORY and TOO_LONG in end.error), end.error
    assert took < LIMIT_MS / 1000 + 1 + usual
    assert watch.longest < idle.longest + 0.1


async def test_the_memory_of_server_and_scripts_is_bounded(sandbox: Rig) -> None:
    await sandbox.of("return 1;")
    before, mine, largest = resident(), children(), 0
    for name in ("array", "strings", "buffers", "memory again and again", "a giant result", "requests without end"):
        running = asyncio.create_task(sandbox.run(ENDLESS[name][0], run_ms=LIMIT_MS))
        while not running.done():
            largest = max([largest, *(most_resident(pid) for pid in children() - mine)])
            await asyncio.sleep(0.002)
        assert running.result().error
    assert resident() - before < 16 * MIB
    assert SCRIPT_HEAP_DEFAULT // 2 < largest < SCRIPT_HEAP_DEFAULT + 48 * MIB


def most_resident(pid: int) -> int:
    """The most bytes of memory that a script's process has had; before its program is loaded it is a copy of this."""
    try:
        program = Path(f"/proc/{pid}/cmdline").read_bytes()
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found and b"child.py" in program else 0


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def test_many_hostile_scripts_at_once_hold_nobody_up(sandbox: Rig) -> None:
    with Watch() as idle:
        await asyncio.gather(*(sandbox.of("return 1;") for _ in range(6)))
    hostile = ("loop", "microtasks", "array", "buffers", "requests without end", "a regular expression")
    with Watch() as watch:
        ends = await asyncio.gather(*(sandbox.run(ENDLESS[name][0], run_ms=LIMIT_MS) for name in hostile))
    assert all(end.error for end in ends)
    assert watch.longest < idle.longest + 0.1


async def test_many_starts_at_once_hold_nobody_up(sandbox: Rig) -> None:
    with Watch() as single:
        await sandbox.of("return 1;")
    with Watch() as burst:
        await asyncio.gather(*(sandbox.of("return 1;") for _ in range(16)))
    assert burst.longest < single.longest + 0.1


async def test_what_a_script_prints_is_cut_off(sandbox: Rig) -> None:
    end = await sandbox.run(calling("for (let n = 0; n < 1e4; n++) console.log('x'.repeat(1e4)); return 1;"))
    assert end.result == b"1"
    assert sum(len(text) for _, text in end.log) <= SCRIPT_LOG_CHARS_MAX


async def test_nothing_happens_after_the_end(sandbox: Rig) -> None:
    heard = asyncio.Event()

    async def hear(_: str, __: object, ___: bytes, writer: asyncio.StreamWriter) -> None:
        heard.set()
        writer.write(reply(200))

    async with target(hear) as url:
        source = calling("setTimeout(() => fetch(params), 30); for (const n of [1, 2]) console.log(n); return 1;")
        end = await sandbox.run(source, params=url)
        assert end.result == b"1"
        # A whole second run later it would have called.
        await sandbox.of("await new Promise((resolve) => setTimeout(resolve, 100)); return 1;")
    assert not heard.is_set()


SPOILED = """
    const evil = () => { throw new Error('spoiled'); };
    Object.prototype.toJSON = () => 'spoiled';
    Promise.prototype.then = evil;
    Array.prototype.push = Array.prototype.map = Array.prototype[Symbol.iterator] = evil;
    Map.prototype.get = Map.prototype.set = evil;
    String.prototype.toWellFormed = String.prototype.slice = String.prototype.split = evil;
    JSON.parse = JSON.stringify = Reflect.apply = Function.prototype.call = Function.prototype.apply = evil;
    Object.defineProperty(Object.prototype, 'error', { get: evil });
    Object.defineProperty(Object.prototype, 'id', { get: () => 7, set() {} });
    globalThis.Promise = undefined;
"""


async def test_whoever_spoils_the_engine_spoils_only_its_own_run(sandbox: Rig) -> None:
    end = await sandbox.run(calling(SPOILED + "return { of: 'mine' };"), run_ms=LIMIT_MS)
    assert end.result is not None or end.error is not None
    assert await sandbox.of("return [1].map((n) => n + 1);") == [2]


@pytest.mark.parametrize(
    "name",
    [
        "process",
        "require",
        "module",
        "os",
        "std",
        "Deno",
        "Bun",
        "Worker",
        "WebAssembly",
        "Atomics",
        "SharedArrayBuffer",
    ],
)
async def test_there_is_nothing_of_the_machine_to_reach(sandbox: Rig, name: str) -> None:
    assert await sandbox.of(f"return typeof globalThis.{name};") == "undefined"
    assert await sandbox.of(f"return typeof (0, eval)('this').{name};") == "undefined"


async def test_what_the_server_gives_cannot_be_replaced(sandbox: Rig) -> None:
    for name in ("fetch", "nodeget", "inlineCall", "console", "setTimeout"):
        assert "TypeError" in await sandbox.error(f"globalThis.{name} = () => 1; return 1;")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://0x7f000001:{port}/",
        "http://2130706433:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://0.0.0.0:{port}/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "data:text/plain,x",
    ],
)
async def test_no_script_reaches_an_address_inside(url: str) -> None:
    heard: list[str] = []

    async def hear(line: str, _: object, __: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(line)
        writer.write(reply(200))

    async with rig(allow=()) as strict, target(hear) as inside:
        said = await strict.error("await fetch(params);", params=url.replace("{port}", inside.rpartition(":")[2]))
    assert "TypeError: TARGET_FORBIDDEN" in said
    assert heard == []


async def test_no_redirect_leads_inside() -> None:
    heard: list[str] = []

    async def inner(line: str, _: object, __: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(line)
        writer.write(reply(200))

    async with target(inner, "127.0.0.2") as inside, rig(allow=("127.0.0.1/32",)) as strict:

        async def lead(_: str, __: object, ___: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(reply(302, location=inside))

        async with target(lead) as outside:
            assert "TARGET_FORBIDDEN" in await strict.error("await fetch(params);", params=outside)
            assert await strict.of("return (await fetch(params, {redirect: 'manual'})).status;", params=outside) == 302
    assert heard == []


async def test_a_body_without_end_is_cut_off(sandbox: Rig) -> None:
    async def pour(_: str, __: object, ___: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with target(pour) as url:
        with Watch() as watch:
            said = await sandbox.error("await fetch(params);", params=url)
    assert said.startswith("TypeError")
    assert watch.longest < 0.5


async def test_a_run_that_is_given_up_leaves_no_process(sandbox: Rig) -> None:
    before = children()
    running = asyncio.create_task(sandbox.run(ENDLESS["loop"][0], run_ms=60_000))
    while not children() - before:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert children() - before == set()
    assert sandbox.sandbox.active() == {}


def children() -> set[int]:
    """The processes that this one has started, zombies too."""
    found = set()
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in Path(f"/proc/self/task/{thread}/children").read_text().split()}
    return found
