"""What can go wrong: one class per code of the API, and those of a client that gets no answer."""

from __future__ import annotations

from typing import Any


class MainspringError(Exception):
    """Anything that this package raises on purpose."""


class NoKey(MainspringError):
    """No API key was given, and none was found."""


class NoAnswer(MainspringError):
    """No server answered: no connection, or one that broke. `__cause__` is what the HTTP library said."""


class DeadlineExceeded(NoAnswer, TimeoutError):
    """The time for a call, its retries included, is over."""


class BadAnswer(MainspringError):
    """Something answered that is not this API: a proxy's page, a redirect, half an answer. `status` is its status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class BadSignature(MainspringError):
    """A webhook whose signature is missing, wrong or too old."""


class Refused(MainspringError):
    """The server's refusal.

    `code`: the stable name of the case. `message`: what happened. `hint`: what to do about it. `field`: the input at
    fault, if one is. `retryable`: the same request may succeed later, `retry_after` seconds from now if it says.
    `request_id`: finds the request in the server's log.
    """

    code: str = ""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        field: str | None = None,
        status: int = 0,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.message = message
        self.hint = hint
        self.field = field
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.request_id = request_id
        self.metadata = metadata or {}

    def __str__(self) -> str:
        named = f"{self.code}: {self.message}" + (f" ({self.field})" if self.field else "")
        return f"{named}. {self.hint}" if self.hint else named


class InvalidJson(Refused):
    """The body is not JSON."""

    code = "INVALID_JSON"


class Unauthorized(Refused):
    """No key, or none that is valid."""

    code = "UNAUTHORIZED"


class Forbidden(Refused):
    """The key lacks the scope."""

    code = "FORBIDDEN"


class NotFound(Refused):
    """No such thing in this project."""

    code = "NOT_FOUND"


class MethodNotAllowed(Refused):
    """The path exists, but not with this method."""

    code = "METHOD_NOT_ALLOWED"


class Conflict(Refused):
    """The state of the thing does not allow it now."""

    code = "CONFLICT"


class LeaseExpired(Conflict):
    """Somebody else holds the message, or nobody does any more."""

    code = "LEASE_EXPIRED"


class QueueInUse(Conflict):
    """Something still needs the queue."""

    code = "QUEUE_IN_USE"


class PayloadTooLarge(Refused):
    """The body, or a part of it, is too large."""

    code = "PAYLOAD_TOO_LARGE"


class UnsupportedMediaType(Refused):
    """The body is of another type than JSON."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class ValidationFailed(Refused):
    """The input means nothing that can be done; `field` says which."""

    code = "VALIDATION_FAILED"


class IdempotencyMismatch(ValidationFailed):
    """This idempotency key came with another body before."""

    code = "IDEMPOTENCY_MISMATCH"


class TargetForbidden(ValidationFailed):
    """The server may not call this address; the hint says how to allow it."""

    code = "TARGET_FORBIDDEN"


class NeverFires(ValidationFailed):
    """The expression has no next fire."""

    code = "NEVER_FIRES"


class RateLimited(Refused):
    """Too many requests for now."""

    code = "RATE_LIMITED"


class QueueFull(Refused):
    """The queue takes no more messages for now."""

    code = "QUEUE_FULL"


class Internal(Refused):
    """A bug of the server."""

    code = "INTERNAL"


class Unavailable(Refused):
    """The store is away; nothing was accepted."""

    code = "UNAVAILABLE"


BY_CODE: dict[str, type[Refused]] = {
    kind.code: kind
    for kind in (
        InvalidJson,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        LeaseExpired,
        QueueInUse,
        PayloadTooLarge,
        UnsupportedMediaType,
        ValidationFailed,
        IdempotencyMismatch,
        TargetForbidden,
        NeverFires,
        RateLimited,
        QueueFull,
        Internal,
        Unavailable,
    )
}
