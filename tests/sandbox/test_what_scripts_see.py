"""The globals of a script: URLs, text and bytes, headers and bodies, timers, the console, random numbers."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import _quickjs
import pytest

import mainspring.sandbox
from sandbox.sandboxing import Rig

WEB = sorted((Path(mainspring.sandbox.__file__).parent / "web").glob("*.js"))
# [input, base, what a browser makes of it]: made by running the URL class of Node.js 20 on random pieces of URLs.
URLS = [json.loads(line) for line in (Path(__file__).parent / "urls.jsonl").read_text().splitlines()]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def inside(ending: str) -> Any:
    """The engine with what scripts see, and a function that sees all of it."""
    context = _quickjs.Context()
    return context, context.eval("(() => {\n" + "\n".join(path.read_text() for path in WEB) + ending + "\n})()")


def test_urls_are_read_as_browsers_read_them() -> None:
    _context, read = inside(
        """return (text) => JSON.stringify(JSON.parse(text).map(([input, base]) => {
            try {
                const url = base === null ? new URL(input) : new URL(input, base);
                const { href, origin, protocol, username, password, host, hostname, port, pathname } = url;
                const { search, hash } = url;
                const params = url.searchParams.toString();
                return { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash,
                         params };
            } catch (error) { return error instanceof TypeError ? null : String(error); }
        }));"""
    )
    found = json.loads(read(json.dumps(URLS)))
    assert [(case[:2], got) for case, got in zip(URLS, found, strict=True) if got != case[2]] == []
    assert len(URLS) > 300


@pytest.mark.parametrize(
    ("change", "href"),
    [
        ("url.protocol = 'http'", "http://u:p@h.com:8443/a/b?q=1#f"),
        ("url.protocol = 'nonsense'", "https://u:p@h.com:8443/a/b?q=1#f"),
        ("url.username = 'é@'", "https://%C3%A9%40:p@h.com:8443/a/b?q=1#f"),
        ("url.password = ''", "https://u@h.com:8443/a/b?q=1#f"),
        ("url.host = 'other.com:99'", "https://u:p@other.com:99/a/b?q=1#f"),
        ("url.host = 'other.com'", "https://u:p@other.com:8443/a/b?q=1#f"),
        ("url.hostname = '[::1]'", "https://u:p@[::1]:8443/a/b?q=1#f"),
        ("url.hostname = 'a:b'", "https://u:p@h.com:8443/a/b?q=1#f"),
        ("url.port = '443'", "https://u:p@h.com/a/b?q=1#f"),
        ("url.port = '99999'", "https://u:p@h.com:8443/a/b?q=1#f"),
        ("url.pathname = '../x y?z'", "https://u:p@h.com:8443/x%20y%3Fz?q=1#f"),
        ("url.search = ''", "https://u:p@h.com:8443/a/b#f"),
        ("url.search = '?a=b c'", "https://u:p@h.com:8443/a/b?a=b%20c#f"),
        ("url.hash = '#x y'", "https://u:p@h.com:8443/a/b?q=1#x%20y"),
        ("url.searchParams.append('n', 'é &')", "https://u:p@h.com:8443/a/b?q=1&n=%C3%A9+%26#f"),
        ("url.searchParams.delete('q')", "https://u:p@h.com:8443/a/b#f"),
        ("url.searchParams; url.search = 'x=1'; url.searchParams.set('y', 2)", "https://u:p@h.com:8443/a/b?x=1&y=2#f"),
        ("url.href = 'http://new/'", "http://new/"),
    ],
)
def test_parts_of_urls_can_be_changed(change: str, href: str) -> None:
    begin = "return () => { const url = new URL('https://u:p@h.com:8443/a/b?q=1#f');"
    _context, run = inside(f"{begin} {change}; return url.href; }};")
    assert run() == href


async def test_search_parameters(sandbox: Rig) -> None:
    assert await sandbox.of(
        """const p = new URLSearchParams('?b=2&a=1&b=3&c=%zz&d=x+y');
        const from = [new URLSearchParams({k: 'v'}), new URLSearchParams([['k', 'v']])].map(String);
        const before = [p.get('b'), p.getAll('b'), p.has('b', '3'), p.has('z'), p.get('z'), p.size, p.get('d')];
        p.sort(); p.set('b', 'é');
        return [before, [...p], String(p), from];"""
    ) == [
        ["2", ["2", "3"], True, False, None, 5, "x y"],
        [["a", "1"], ["b", "é"], ["c", "%zz"], ["d", "x y"]],
        "a=1&b=%C3%A9&c=%25zz&d=x+y",
        ["k=v", "k=v"],
    ]


async def test_text_and_bytes(sandbox: Rig) -> None:
    text = "añ😀\ud800"[:3]
    assert await sandbox.of(
        """const bytes = new TextEncoder().encode(params);
        const broken = new Uint8Array([0x61, 0xff, 0xe2, 0x82, 0x62, 0xf0, 0x9f]);
        const pieces = new TextDecoder();
        let strict; try { new TextDecoder('utf-8', {fatal: true}).decode(broken); } catch (e) { strict = e.name; }
        let unknown; try { new TextDecoder('ebcdic'); } catch (e) { unknown = e.name; }
        return [Array.from(bytes), new TextDecoder().decode(bytes), new TextDecoder().decode(broken),
            pieces.decode(new Uint8Array([0xe2, 0x82]), {stream: true}) + pieces.decode(new Uint8Array([0xac])),
            new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])), strict, unknown,
            new TextDecoder('latin1').decode(new Uint8Array([0xe9])), btoa('\\xff\\x00'), atob('/wA=').length,
            Array.from(new TextEncoder().encode('\\ud800'))];""",
        params=text,
    ) == [
        list(text.encode()),
        text,
        "a\ufffd\ufffdb\ufffd",
        "€",
        "a",
        "TypeError",
        "RangeError",
        "é",
        "/wA=",
        2,
        [0xEF, 0xBF, 0xBD],
    ]


async def test_headers(sandbox: Rig) -> None:
    assert await sandbox.of(
        """const h = new Headers({'X-B': ' 2 ', a: '1'}); h.append('x-b', '3'); h.append('Set-Cookie', 'a');
        h.append('set-cookie', 'b');
        const refused = [['b ad', 'x'], ['ok', 'a\\nb'], ['ok', '\\u0100']].map(([n, v]) => {
            try { new Headers([[n, v]]); return 'taken'; } catch (e) { return e.name; } });
        return [[...h], h.get('X-b'), h.has('A'), h.get('none'), h.getSetCookie(), refused];"""
    ) == [
        [["a", "1"], ["set-cookie", "a"], ["set-cookie", "b"], ["x-b", "2, 3"]],
        "2, 3",
        True,
        None,
        ["a", "b"],
        ["TypeError"] * 3,
    ]


async def test_requests_and_responses(sandbox: Rig) -> None:
    assert await sandbox.of(
        """const r = new Request('http://h.com/a', {method: 'post', body: 'é', headers: {'x-a': '1'}});
        const copy = r.clone();
        const json = Response.json({a: 1}, {status: 201});
        const refused = [() => new Request('http://h.com', {body: 'x'}), () => new Request('nothing'),
            () => new Response('x', {status: 204}), () => new Response('', {status: 99}),
            () => new Request('http://u:p@h.com/')
        ].map((f) => { try { f(); return 'taken'; } catch (e) { return e.name; } });
        const used = new Response('x'); await used.text();
        let again; try { await used.text(); } catch (e) { again = e.name; }
        return [r.method, r.url, r.headers.get('content-type'), await r.text(), await copy.text(), json.status, json.ok,
            json.headers.get('content-type'), await json.json(), refused, used.bodyUsed, again,
            Response.redirect('http://h.com/x', 303).headers.get('location'), Response.error().type,
            Array.from(await new Response(new Uint8Array([1, 2])).bytes()),
            (await new Response(new URLSearchParams({a: 'b c'})).arrayBuffer()).byteLength,
            String(new Headers()), String(r)];"""
    ) == [
        "POST",
        "http://h.com/a",
        "text/plain;charset=UTF-8",
        "é",
        "é",
        201,
        True,
        "application/json",
        {"a": 1},
        ["TypeError", "TypeError", "TypeError", "RangeError", "TypeError"],
        True,
        "TypeError",
        "http://h.com/x",
        "error",
        [1, 2],
        5,
        "[object Headers]",
        "[object Request]",
    ]


async def test_timers_fire_in_order_and_can_be_cleared(sandbox: Rig) -> None:
    assert await sandbox.of(
        """const seen = []; const cleared = setTimeout(() => seen.push('cleared'), 1);
        clearTimeout(cleared);
        setTimeout((a, b) => seen.push(a + b), 30, 'a', 'b'); setTimeout(() => seen.push('first'), 0);
        setImmediate(() => seen.push('soon'));
        await new Promise((resolve) => { let n = 0;
            const every = setInterval(() => { if (++n === 3) { clearInterval(every); resolve(); } }, 20); });
        return seen;"""
    ) == ["first", "soon", "ab"]
    assert "late" in await sandbox.error(
        "setTimeout(() => { throw new Error('late'); }, 1); await new Promise(() => {});"
    )


async def test_the_console_is_kept_line_by_line(sandbox: Rig) -> None:
    end = await sandbox.run(
        """export default { onCall() {
            const loop = {}; loop.loop = loop;
            console.log('a', 1, {b: [2]}, null, undefined, Symbol('s'), 3n); console.error(new Error('e'));
            console.warn(loop); console.debug('\\ud800'); return 0; } }"""
    )
    (level, text), (second, trace), third, fourth = end.log
    assert (level, text) == ("info", 'a 1 {"b":[2]} null undefined Symbol(s) 3')
    assert second == "error"
    assert trace.startswith("Error: e\n")
    assert (third, fourth) == (("warning", "[object Object]"), ("debug", "\ufffd"))


async def test_random_numbers(sandbox: Rig) -> None:
    drawn = await sandbox.of(
        """return [Array.from({length: 300}, () => crypto.randomUUID()), randomUUID(), ctx.uuid(),
                Array.from(crypto.getRandomValues(new Uint8Array(500)))];"""
    )
    many, one, other, numbers = drawn
    assert all(UUID.fullmatch(uuid) for uuid in [*many, one, other])
    assert len({*many, one, other}) == 302
    assert len(set(numbers)) > 150
    assert await sandbox.of("return crypto.randomUUID();") not in many


def test_the_source_of_random_numbers_is_chacha20() -> None:
    # RFC 8439, appendix A.1, test vector 1: key, nonce and counter of zeros.
    _context, block = inside("return () => base64Of(randomBlock());")
    stream = (
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )
    assert base64.b64decode(block()).hex() == stream


async def test_what_a_handler_is_given(sandbox: Rig) -> None:
    source = """export default { name: 'me',
        onCall(params, env, ctx) { return [this.name, params, env, ctx.runType, ctx.workerName, ctx.inlineCaller]; },
        onCron: (params, env, ctx) => ctx.runType, onInlineCall: async (params, env, ctx) => ctx.runType }"""
    end = await sandbox.run(source, params={"a": [None]}, env={"KEY": "é"})
    assert json.loads(end.result or b"") == ["me", {"a": [None]}, {"KEY": "é"}, "onCall", "script", None]
    assert (await sandbox.run(source, run_type="cron")).result == b'"onCron"'
    assert (await sandbox.run(source, run_type="inline_call")).result == b'"onInlineCall"'


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        ("{ a: [1, 'é', null, true] }", {"a": [1, "é", None, True]}),
        ("null", None),
        ("'text'", "text"),
        ("'{\"a\": 1}'", {"a": 1}),
        ("'[1'", "[1"),
        ("12.5", 12.5),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
    ],
)
async def test_what_a_handler_returns_is_json(sandbox: Rig, returned: str, result: Any) -> None:
    assert await sandbox.of(f"return {returned};") == result


@pytest.mark.parametrize("returned", ["undefined", "() => 1", "Symbol('x')", "1n"])
async def test_what_is_not_json_is_an_error(sandbox: Rig, returned: str) -> None:
    assert (await sandbox.error(f"return {returned};")).startswith("TypeError")


async def test_errors_show_where_they_come_from(sandbox: Rig) -> None:
    end = await sandbox.run("export default {\n  onCall() {\n    throw new RangeError('too much');\n  } }")
    assert end.error == "RangeError: too much\n    at onCall (<input>:3:15)"


async def test_a_route_is_given_a_request_and_answers_with_a_response(sandbox: Rig) -> None:
    source = """export default { async onRoute(request, env, ctx) {
        return new Response(`${request.method} ${request.url} ${request.headers.get('x-a')} ${await request.text()}`,
            { status: 418, headers: { 'x-b': 'c' } }); } }"""
    given = {"method": "PUT", "url": "http://h.com/r?x=1", "headers": [["x-a", "1"]], "body": "aMOp"}
    end = await sandbox.run(source, run_type="route", params=given)
    assert json.loads(end.result or b"") == {
        "status": 418,
        "headers": [["content-type", "text/plain;charset=UTF-8"], ["x-b", "c"]],
        "body": "UFVUIGh0dHA6Ly9oLmNvbS9yP3g9MSAxIGjDqQ==",
    }
    refused = await sandbox.run("export default { onRoute() { return 'text'; } }", run_type="route", params=given)
    assert "Response" in (refused.error or "")


async def test_scripts_call_the_server(sandbox: Rig) -> None:
    asked = {"jsonrpc": "2.0", "method": "m", "params": [1], "id": 7}
    assert await sandbox.of("return (await nodeget('m', [1], 7)).result;") == asked
    assert await sandbox.of("return (await nodeget(params)).result;", params=asked) == asked
    assert await sandbox.of("return (await nodeget(JSON.stringify(params))).result;", params=asked) == asked
    assert await sandbox.of("return typeof await ctx.nodeget(JSON.stringify(params));", params=asked) == "string"
    assert UUID.fullmatch(await sandbox.of("return (await nodeget('m', {})).id;"))


async def test_scripts_call_scripts(sandbox: Rig) -> None:
    called = await sandbox.of("return [await inlineCall('other', {a: 1}, 2), await ctx.inlineCall('other')];")
    assert called[0] == {"name": "other", "params": {"a": 1}, "most_ms": 2000}
    assert called[1]["params"] is None
    assert called[1]["most_ms"] <= 30_000
    for wrong in (
        "inlineCall(5)",
        "inlineCall('x', {}, -1)",
        "inlineCall('x', {}, 'soon')",
        "inlineCall('x', () => 1)",
    ):
        assert (await sandbox.error(f"await {wrong};")).startswith("TypeError")


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("export default {}", None),
        ("while (true) {}\nexport default {}", None),
        ("throw new Error('not run')", None),
        ("export default {", "SyntaxError: invalid property name\n    at <input>:1:17"),
        ("let a;\nlet a;", "SyntaxError: invalid redefinition of lexical identifier\n    at <input>:2:6"),
        ("import x from 'fs'; export default {}", None),
    ],
)
async def test_a_script_is_checked_without_being_run(sandbox: Rig, source: str, wrong: str | None) -> None:
    found = await sandbox.sandbox.check(source.encode())
    assert found == wrong if wrong is None else (found or "").startswith("SyntaxError")


async def test_limits_are_those_of_the_script(sandbox: Rig) -> None:
    filling = "const all = []; for (let n = 0; n < 100; n++) all.push(new Uint8Array(1e5)); return all.length;"
    assert await sandbox.of(filling) == 100
    assert "out of memory" in await sandbox.error(filling, heap=6 * 1024 * 1024)
    deep = "let n = 0; const f = () => { n++; f(); }; try { f(); } catch {} return n;"
    assert await sandbox.of(deep, stack=4 * 1024 * 1024) > 2 * await sandbox.of(deep, stack=256 * 1024)
