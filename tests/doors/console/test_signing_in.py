from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from doors.console.visitor import Visitor
from doors.live import KEY, SUPER, Live
from mainspring.core import tokens


async def test_the_console_answers_a_stranger_with_the_sign_in_page(live: Live) -> None:
    answer = await Visitor(live).get("/console")
    assert answer.status == 200
    assert 'name="credential"' in answer.raw.decode()
    elsewhere = await Visitor(live).get("/console/runs?state=failed")
    assert elsewhere.status == 401
    assert 'name="onward" value="/runs?state=failed"' in elsewhere.raw.decode()


async def test_the_front_page_leads_to_the_console(live: Live) -> None:
    answer = await Visitor(live).get("/")
    assert (answer.status, answer.headers["location"]) == (303, "/console")


@pytest.mark.parametrize("credential", [KEY, SUPER, f"  {KEY} "])
async def test_a_key_or_a_token_signs_in(live: Live, credential: str) -> None:
    visitor = Visitor(live)
    answer = await visitor.send("/console/sign-in", credential=credential, onward="/runs?state=failed")
    assert (answer.status, answer.headers["location"]) == (303, "/console/runs?state=failed")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/console" in cookie
    assert KEY not in cookie
    assert "Sign out" in await visitor.page("/console")


@pytest.mark.parametrize("credential", ["", "wrong", "a:b", "nobody|password", "\x00"])
async def test_anything_else_does_not(live: Live, credential: str) -> None:
    visitor = Visitor(live)
    answer = await visitor.sign_in(credential)
    assert answer.status == 401
    assert "That is no valid key or token." in answer.raw.decode()
    assert visitor.cookies == {}


@pytest.mark.parametrize("onward", ["//evil.example", "/\\evil.example", "https://evil.example", "evil"])
async def test_signing_in_leads_nowhere_else(live: Live, onward: str) -> None:
    answer = await Visitor(live).send("/console/sign-in", credential=KEY, onward=onward)
    assert answer.headers["location"] == "/console"


async def test_guessing_is_slowed_down(live: Live) -> None:
    visitor = Visitor(live)
    statuses = [(await visitor.sign_in(f"wrong-{number}")).status for number in range(22)]
    assert statuses[:20] == [401] * 20
    assert statuses[-1] == 429


async def test_a_revoked_key_ends_its_sessions(live: Live) -> None:
    visitor = Visitor(live)
    secret = await live.key("cron:read")
    await visitor.sign_in(secret)
    await visitor.page("/console")
    found = await live.store.credentials.by_digest(tokens.digest_of(secret))
    assert found is not None
    await tokens.revoke(live.core, live.clock(), found.project, found.id)
    live.clock.ahead += 1_001
    assert (await visitor.get("/console/runs")).status == 401


async def test_signing_out_forgets_the_session(visitor: Visitor) -> None:
    answer = await visitor.send("/console/sign-out")
    assert answer.status == 303
    assert visitor.cookies["mainspring_session"] in ("", '""')
    assert (await visitor.get("/console/runs")).status == 401


async def test_a_session_that_was_tampered_with_is_none(visitor: Visitor) -> None:
    kept = visitor.cookies["mainspring_session"]
    for forged in (kept[:-2] + ("00" if kept[-2:] != "00" else "11"), "zz", "00", kept[2:]):
        visitor.cookies["mainspring_session"] = forged
        assert (await visitor.get("/console/runs")).status == 401


async def test_a_part_of_a_page_that_asks_for_itself_reloads_the_page(live: Live) -> None:
    answer = await Visitor(live).get("/console/runs", **{"HX-Request": "true"})
    assert (answer.status, answer.headers["hx-refresh"]) == (401, "true")
    assert answer.raw == b""


async def test_a_form_needs_the_token_of_its_session(visitor: Visitor, live: Live) -> None:
    page = await visitor.page("/console/settings")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    for token in (None, "", "x" * 24):
        assert (await visitor.send("/console/settings/keys", csrf=token, name="mine")).status == 403
    other = Visitor(live)
    await other.sign_in()
    assert csrf is None or (await other.send("/console/settings/keys", csrf=csrf[1], name="mine")).status == 403


@pytest.mark.parametrize("header", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
async def test_a_form_of_another_site_is_refused(live: Live, header: dict[str, str]) -> None:
    async with live.client.post("/console/sign-in", data={"credential": KEY}, headers=header) as reply:
        assert reply.status == 403
        assert "Set-Cookie" not in reply.headers


async def test_every_answer_is_kept_to_itself(visitor: Visitor) -> None:
    for path in ("/console", "/console/nothing", "/console/static/console.css", "/console/sign-in"):
        headers = (await visitor.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    kept = (await visitor.get("/console/static/console.css?v=1")).headers["cache-control"]
    assert "immutable" in kept


async def test_pages_ask_no_other_host_for_anything(visitor: Visitor) -> None:
    page = await visitor.page("/console")
    links = re.findall(r'(?:src|href|action|hx-get|hx-post)="([^"]*)"', page)
    assert links
    assert [link for link in links if urlsplit(link).netloc] == []
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", page)


async def test_language_theme_and_zone_are_kept_in_the_browser(visitor: Visitor) -> None:
    assert '<html lang="en" data-theme="auto">' in await visitor.page("/console")
    await visitor.send("/console/preferences", language="zh", theme="dark", zone="browser", back="/console/runs")
    page = await visitor.page("/console")
    assert '<html lang="zh-CN" data-theme="dark">' in page
    assert 'data-zone="browser"' in page
    await visitor.send("/console/preferences", language="xx", theme="pink", zone="mars")
    assert '<html lang="zh-CN" data-theme="dark">' in await visitor.page("/console")


async def test_the_browser_says_which_language_at_first(live: Live) -> None:
    answer = await Visitor(live).get("/console", **{"Accept-Language": "fr;q=0.9, zh-TW;q=0.8, en;q=0.5"})
    assert '<html lang="zh-CN"' in answer.raw.decode()
