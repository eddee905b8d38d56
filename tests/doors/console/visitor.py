"""Somebody with a browser, without the browser: cookies, forms and pages over a real socket."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

from doors.live import KEY, Answer, Live


@dataclass
class Visitor:
    """Follows no redirect by itself; keeps cookies."""

    live: Live
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._call("GET", path, None, headers)

    async def send(self, path: str, *, csrf: str | None = None, **fields: str) -> Answer:
        """A form without a page around it."""
        token = {"csrf": csrf} if csrf is not None else {}
        return await self._call("POST", path, urlencode({**token, **fields}).encode(), {})

    async def submit(self, page: str, path: str, **fields: str) -> Answer:
        """A form as the page at `page` has it: with its token, and back to it."""
        shown = (await self.get(page)).raw.decode()
        found = re.search(r'name="csrf" value="([^"]+)"', shown)
        assert found is not None, "the page has no form"
        return await self.send(path, csrf=unescape(found[1]), back=page, **fields)

    async def submit_all(self, page: str, path: str, fields: list[tuple[str, str]]) -> Answer:
        """Likewise, with fields that may be there several times."""
        return await self._call("POST", path, urlencode([*(await self._hidden(page)), *fields]).encode(), {})

    async def _hidden(self, page: str) -> list[tuple[str, str]]:
        shown = (await self.get(page)).raw.decode()
        found = re.search(r'name="csrf" value="([^"]+)"', shown)
        assert found is not None, "the page has no form"
        return [("csrf", unescape(found[1])), ("back", page)]

    async def sign_in(self, credential: str = KEY) -> Answer:
        return await self.send("/console/sign-in", credential=credential)

    async def page(self, path: str) -> str:
        """The text of a page that is there."""
        answer = await self.get(path)
        assert answer.status == 200, answer.raw
        return answer.raw.decode()

    async def told(self, path: str) -> str:
        """What the next page says of what was just done."""
        found = re.search(r'<p class="note [a-z]+">(.*?)</p>', await self.page(path), re.DOTALL)
        assert found is not None, "the page says nothing"
        return unescape(found[1])

    async def _call(self, method: str, path: str, raw: bytes | None, headers: dict[str, str]) -> Answer:
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        if raw is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        async with self.live.client.request(method, path, data=raw, headers=sent, allow_redirects=False) as reply:
            for name, morsel in reply.cookies.items():
                self.cookies[name] = morsel.value
            return Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, await reply.read())
