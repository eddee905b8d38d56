"""What a task ends with when it does not succeed."""

from __future__ import annotations


class TaskFailed(Exception):
    """The task has no result; the text says why, as it is uploaded."""


def failed(detail: str) -> TaskFailed:
    """A failure, beginning as those of other agents do."""
    return TaskFailed(f"Other error: {detail}")


def not_allowed() -> TaskFailed:
    """A task of a kind that this machine does not do for this server."""
    return TaskFailed("Permission denied: Permission Denied: Task not allowed")
