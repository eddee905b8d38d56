"""What an error means, and where to look next, in words."""

from __future__ import annotations

import re

import msgspec

_STATUS = re.compile(r"HTTP status (\d{3})")


class Story(msgspec.Struct, frozen=True):
    """What happened, and what to do next; both in English, as keys of the tables of words."""

    what: str
    next: str


TARGET_LOGS = "Look into the target's log for this time, or for the id of this run: it was sent along."
_BY_STATUS = {
    400: Story("The target refused the request as malformed.", "Compare the payload with what the target expects."),
    401: Story("The target wants to know who is calling.", "Check the headers, and the secret if calls are signed."),
    403: Story("The target refused the call.", "Check the headers, and the secret if calls are signed."),
    404: Story("The target has nothing at this address.", "Check the URL; the path may have changed."),
    405: Story("The target does not take this method.", "Check the method against what the target offers."),
    408: Story("The target gave up waiting for the request.", TARGET_LOGS),
    409: Story("The target found the call in conflict with its own state.", TARGET_LOGS),
    410: Story("The target says that this address is gone for good.", "Point it somewhere else, or delete it."),
    413: Story("The payload is too large for the target.", "Send less, or a reference to the data."),
    422: Story("The target did not accept the payload.", "Compare the payload with what the target expects."),
    429: Story("The target wants to be called less often.", "Space the calls out, or limit their rate."),
}
_REDIRECT = Story("The target sent the call elsewhere; redirects are not followed.", "Use the final URL itself.")
_CLIENT = Story("The target refused the call.", TARGET_LOGS)
_SERVER = Story("The target failed while it worked on the call.", TARGET_LOGS)
_ODD = Story("The target answered with something else than success.", TARGET_LOGS)
_UNREACHED = Story(
    "The target could not be reached in time.", "Check that it runs, and what stands between it and here."
)
_BROKEN = Story("The connection broke off.", "Check the target and the proxies before it.")
_DENIED = Story(
    "The target's address is one that this server may not call.",
    "If it should, allow it with MAINSPRING_ALLOW_TARGETS and restart.",
)
# The first word that occurs in the error says which.
_WORDS: tuple[tuple[str, Story], ...] = (
    ("TARGET_FORBIDDEN", _DENIED),
    ("is not a permitted target", _DENIED),
    (
        "interrupted",
        Story(
            "This server stopped, or lost sight of the attempt, while it was under way; it may have arrived.",
            "Look into this server's log for a restart at that time.",
        ),
    ),
    ("expect.body_regexp", Story("The answer is not what this schedule expects.", "Compare it with the pattern.")),
    (
        "no complete response",
        Story("The target did not answer in time.", "Make it answer sooner and work on, or allow it more time."),
    ),
    ("name ", Story("The target's host name could not be resolved.", "Check its spelling, and this server's DNS.")),
    ("no connection", _UNREACHED),
    ("timed out", _UNREACHED),
    ("timeout", _UNREACHED),
    (
        "connection refused",
        Story("Nothing listens at the target's address and port.", "Check that the target runs, and its port."),
    ),
    ("unreachable", Story("There is no way to the target's network.", "Check routes and firewalls from this server.")),
    ("reset", _BROKEN),
    ("lost", _BROKEN),
    ("closed before", _BROKEN),
    ("cut short", _BROKEN),
    ("connection", Story("The connection failed.", "Check that the target runs, and what stands between it and here.")),
    ("certificate", Story("The target's certificate is not accepted.", "Renew it, or use the name that it is for.")),
    ("TLS", Story("An encrypted connection could not be made.", "Check the target's TLS settings, and the port.")),
    ("MiB", Story("The answer was too long.", "Let the target answer briefly.")),
    ("is not connected", Story("The agent was not connected.", "Look whether it runs, on the screen of agents.")),
    ("paused", Story("The schedule was paused before the run had begun or ended.", "Resume it, or replay the run.")),
    ("deleted", Story("What this belongs to was deleted meanwhile.", "There is nothing to be done.")),
    ("cancelled", Story("Somebody cancelled it.", "Replay it if it is wanted after all.")),
    ("disabled", Story("The endpoint was disabled meanwhile.", "Enable it, then replay the delivery.")),
)
_OTHER = Story("It did not succeed.", TARGET_LOGS)
TEXTS = tuple(
    dict.fromkeys(
        text
        for story in (*_BY_STATUS.values(), _REDIRECT, _CLIENT, _SERVER, _ODD, *(one for _, one in _WORDS), _OTHER)
        for text in (story.what, story.next)
    )
)


def story_of(error: str | None) -> Story | None:
    """The story of an error as it is kept with an attempt; None when there is none."""
    if error is None:
        return None
    if found := _STATUS.match(error):
        status = int(found[1])
        by_hundred = {3: _REDIRECT, 4: _CLIENT, 5: _SERVER}
        return _BY_STATUS.get(status) or by_hundred.get(status // 100, _ODD)
    return next((story for word, story in _WORDS if word in error), _OTHER)
