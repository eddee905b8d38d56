"""Why a request got no reply, in a few words that are the same for every target and repeat nothing it said."""

from __future__ import annotations

import errno
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from mainspring.core.limits import RESPONSE_BYTES_MAX
from mainspring.outbound.names import NameUnresolved

_CONNECT_ERRORS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
    errno.EMFILE: "this server has no file descriptors left",
    errno.ENFILE: "this server has no file descriptors left",
}
# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_CERTIFICATE_ERRORS = {
    9: "certificate not yet valid",
    10: "certificate expired",
    18: "certificate self-signed",
    19: "certificate authority not trusted",
    20: "certificate authority not trusted",
    62: "certificate is for another host name",
    64: "certificate is for another address",
}


class ResponseTooLarge(aiohttp.ClientPayloadError):
    """The raw response went over its cap and was cut."""


def failure_text(error: BaseException) -> str:
    """The error of an attempt, from what the client raised."""
    match error:
        case ResponseTooLarge():
            return f"response over {RESPONSE_BYTES_MAX // 1024**2} MiB"
        case aiohttp.ClientConnectorDNSError(os_error=NameUnresolved(reason=reason)):
            return reason
        case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
            return "TLS: " + _certificate_text(cause)
        case aiohttp.ClientConnectorSSLError():
            return "TLS handshake failed"
        case aiohttp.ClientConnectorError(os_error=cause):
            return _CONNECT_ERRORS.get(cause.errno or 0, "connection failed")
        case aiohttp.ServerDisconnectedError():
            return "connection closed before a complete response"
        case aiohttp.ClientPayloadError():
            return "response cut short"
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return "malformed response"
        case OSError(errno=number):
            return _CONNECT_ERRORS.get(number or 0, "connection lost")
        case _:
            return "request could not be sent"


def _certificate_text(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_ERRORS.get(error.verify_code, "certificate not valid")
    return "certificate not valid"
