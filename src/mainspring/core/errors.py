"""The nine ways a request can be refused. A door maps each of them to its own wire form, once."""

from __future__ import annotations


class Refused(Exception):
    """A refusal with everything a caller needs to act on it.

    `code` is the stable name of the case, `message` says what happened, `hint` what to do about it, `field` names
    the input at fault, `retryable` says whether the same request may succeed later.
    """

    code = "INTERNAL"
    retryable = False

    def __init__(self, message: str, *, hint: str = "", field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        if code is not None:
            self.code = code


class Invalid(Refused):
    """The input does not mean anything we can do: wrong type, out of bounds, contradiction."""

    code = "VALIDATION_FAILED"


class Unauthorized(Refused):
    """No credential, or not a valid one. One identical answer whatever the reason."""

    code = "UNAUTHORIZED"


class Forbidden(Refused):
    """A valid credential without the needed right."""

    code = "FORBIDDEN"


class NotFound(Refused):
    """No such thing in this project; things of other projects answer the same."""

    code = "NOT_FOUND"


class Conflict(Refused):
    """The state of the thing does not allow it now."""

    code = "CONFLICT"


class LeaseLost(Refused):
    """Somebody else holds the lease, or nobody does any more."""

    code = "LEASE_EXPIRED"


class TooLarge(Refused):
    """The body or one part of it is over its limit."""

    code = "PAYLOAD_TOO_LARGE"


class LimitExceeded(Refused):
    """Too much for now; `retry_after_s` (>= 1) says when to come back, `limit` how many requests a key has in all."""

    code = "RATE_LIMITED"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: int = 1,
        hint: str = "",
        field: str | None = None,
        code: str | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint, field=field, code=code)
        self.retry_after_s = max(1, retry_after_s)
        self.limit = limit


class Unavailable(Refused):
    """The store cannot be reached or cannot promise durability; nothing was accepted."""

    code = "UNAVAILABLE"
    retryable = True
