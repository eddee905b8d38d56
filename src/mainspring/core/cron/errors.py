"""The one error of the cron package."""

from __future__ import annotations


class CronError(ValueError):
    """A text that cannot be read as a schedule or a time zone.

    `message` says in plain English which field is wrong and what to write instead; `position` is the 0-based offset
    of the character at fault.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
