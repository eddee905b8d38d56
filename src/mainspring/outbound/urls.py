"""The URLs we dial: a small grammar instead of a lenient parser.

Parsers disagree about what `http://127.0.0.1\\@example.com/` or a tab inside a host means, and every disagreement is
a way around a guard. So only what all of them read alike is accepted, it is parsed once, and the result is dialled.
"""

from __future__ import annotations

import re
import socket
import unicodedata
from urllib.parse import quote

import idna
import msgspec

from mainspring.core.errors import Invalid
from mainspring.core.limits import URL_CHARS_MAX

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"(https?)://", re.IGNORECASE)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_AUTHORITY_END = re.compile(r"[/?#]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_OTHER_DOTS = frozenset("\u3002\uff0e\uff61")  # IDNA reads these as dots, so a host could hide its labels in them


class TargetUrl(msgspec.Struct, frozen=True):
    """A parsed URL.

    `host` is a lower-case ASCII name or the canonical text of a numeric address (`literal`), IPv6 without brackets;
    `target_path` is what the request line carries, `origin` is `scheme://host:port`, `url` the whole as it is dialled.
    """

    scheme: str
    host: str
    port: int
    target_path: str
    origin: str
    url: str
    literal: bool


def parse_url(url: str, field: str = "url") -> TargetUrl:
    """Parse an http(s) URL of at most 2,048 characters. Raises `Invalid` naming `field`.

    Kept as given: path, query and an explicit port. Normalised: scheme and host in lower case, an international
    name to its ASCII form, a numeric host in any notation to its address, non-ASCII in the path to UTF-8 percent
    escapes, no fragment.
    """
    if len(url) > URL_CHARS_MAX:
        raise _refused(field, f"has {len(url)} characters", f"At most {URL_CHARS_MAX} are accepted.")
    if bad := _UNSAFE.search(url):
        raise _refused(field, f"contains {bad[0]!r} at position {bad.start()}", "Percent-encode it.")
    scheme_match = _SCHEME.match(url)
    if scheme_match is None:
        raise _refused(field, "is not an http or https URL", "Write it in full, like https://example.com/hook.")
    scheme = scheme_match[1].lower()
    rest = url[scheme_match.end() :]
    end = _AUTHORITY_END.search(rest)
    authority, tail = (rest, "") if end is None else (rest[: end.start()], rest[end.start() :])
    host_text, port = _split_authority(authority, field)
    host, literal = _host(host_text, field)
    shown = f"[{host}]" if ":" in host else host
    tail = _encoded(tail.partition("#")[0], field)
    number = _DEFAULT_PORTS[scheme] if port is None else port
    normal = f"{scheme}://{shown}{'' if port is None else f':{port}'}{tail}"
    if len(normal) > URL_CHARS_MAX:
        raise _refused(field, f"has {len(normal)} characters when encoded", f"At most {URL_CHARS_MAX} are accepted.")
    return TargetUrl(
        scheme=scheme,
        host=host,
        port=number,
        target_path=tail if tail.startswith("/") else "/" + tail,
        origin=f"{scheme}://{shown.rstrip('.')}:{number}",
        url=normal,
        literal=literal,
    )


def _refused(field: str, what: str, hint: str) -> Invalid:
    return Invalid(f"{field} {what}", hint=hint, field=field)


def _split_authority(authority: str, field: str) -> tuple[str, int | None]:
    """The host's text (IPv6 in its brackets) and the explicit port."""
    if "@" in authority:
        raise _refused(field, "carries a user name", "Put credentials into an Authorization header.")
    host, colon, port_text = authority.rpartition(":")
    if not colon or port_text.endswith("]"):
        return authority, None
    if not re.fullmatch(r"[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65535:
        raise _refused(field, "has no valid port", "Ports are 1 to 65535.")
    return host, int(port_text)


def _host(text: str, field: str) -> tuple[str, bool]:
    """The host as it is dialled, and whether it is a numeric address."""
    if text.startswith("["):
        return _ipv6(text, field), True
    name = text.lower()
    if not name.isascii():
        name = _ascii_name(name, field)
    bare = name.removesuffix(".")
    if _NUMBER.fullmatch(bare.rpartition(".")[2]):
        return _ipv4(bare, field), True
    if not bare or len(bare) > 253 or not all(_LABEL.fullmatch(label) for label in bare.split(".")):
        raise _refused(field, "has no valid host", "Host names are labels of letters, digits, - and _, up to 63 each.")
    return name, False


def _ipv6(text: str, field: str) -> str:
    try:
        packed = socket.inet_pton(socket.AF_INET6, text[1:-1] if text.endswith("]") else "")
    except OSError:
        raise _refused(field, "has no valid IPv6 address", "Write it like http://[2001:db8::1]:8080/.") from None
    return socket.inet_ntop(socket.AF_INET6, packed)


def _ipv4(text: str, field: str) -> str:
    """The dotted quad of a number in any notation that inet_aton(3) of the C library reads, so as getaddrinfo does.

    One to four parts, each decimal, octal (0…) or hexadecimal (0x…); the last one fills the remaining bytes.
    """
    parts = text.split(".")
    numbers = [_number(part) for part in parts]
    known = [number for number in numbers if number is not None]
    if len(known) != len(parts) or len(parts) > 4:
        raise _refused(field, "has a numeric host that is no address", "Write an IPv4 address like 203.0.113.7.")
    *leading, last = known
    if any(number > 255 for number in leading) or last >= 256 ** (4 - len(leading)):
        raise _refused(field, "has a numeric host out of range", "Write an IPv4 address like 203.0.113.7.")
    value = last
    for position, number in enumerate(leading):
        value |= number << 8 * (3 - position)
    return socket.inet_ntoa(value.to_bytes(4, "big"))


def _number(part: str) -> int | None:
    # Longer than any address in any base; int() of a very long decimal would raise.
    if not 1 <= len(part) <= 20 or not part.isascii():
        return None
    digits, base = (part[2:], 16) if part.startswith("0x") else (part, 8 if part.startswith("0") else 10)
    try:
        return int(digits, base) if digits.isalnum() else None
    except ValueError:
        return None


def _ascii_name(name: str, field: str) -> str:
    """The ASCII form of an international name; digits of other scripts that spell an address are read as digits."""
    if _OTHER_DOTS & set(name):
        raise _refused(field, "separates its host with something else than a dot", "Use the ASCII full stop.")
    folded = unicodedata.normalize("NFKC", name)
    if folded.isascii() and _NUMBER.fullmatch(folded.removesuffix(".").rpartition(".")[2]):
        return folded
    try:
        return idna.encode(name).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise _refused(field, "has a host that is no valid international name", "Use its xn-- form.") from None


def _encoded(tail: str, field: str) -> str:
    try:
        return _NOT_ASCII.sub(lambda found: quote(found[0]), tail)
    except UnicodeEncodeError:
        raise _refused(field, "is not valid text", "Leave unpaired surrogates out.") from None
