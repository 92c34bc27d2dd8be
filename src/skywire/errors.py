"""Every error we raise on purpose.

    SkywireError
    ├── InvalidValue           a value from a person, a file or a request is not what was expected
    ├── LocalProtocolError     our code misused a protocol machine: a bug
    ├── RemoteProtocolError    the peer broke the protocol: close
    │   └── AuthenticationFailed    wrong key, signature, tag or nonce
    ├── StreamError
    │   ├── StreamClosed       by us
    │   └── StreamReset        by the peer or the network
    ├── DialFailed             with every attempt and its cause
    ├── Refused                the peer answered no; carries its code
    ├── NotFound   Conflict   Unavailable   Forbidden
    └── NotSupported           on this platform or by this peer

A class exists when somebody catches it. Time-outs are the built-in `TimeoutError`.
`code` is the stable word for JSON, `http_status` the answer on HTTP, `exit_code` the process's.
"""

from typing import ClassVar


class SkywireError(Exception):
    """Base of all errors raised on purpose; the text is meant for people."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1


class InvalidValue(SkywireError):
    """The text names the value (or flag, or field), and what was expected."""

    code = "invalid_value"
    http_status = 400
    exit_code = 2


class LocalProtocolError(SkywireError):
    code = "local_protocol_error"


class RemoteProtocolError(SkywireError):
    code = "remote_protocol_error"
    http_status = 502


class AuthenticationFailed(RemoteProtocolError):
    code = "authentication_failed"
    http_status = 401


class StreamError(SkywireError):
    code = "stream_error"
    http_status = 502


class StreamClosed(StreamError):
    code = "stream_closed"


class StreamReset(StreamError):
    code = "stream_reset"


class DialFailed(SkywireError):
    code = "dial_failed"
    http_status = 502


class Refused(SkywireError):
    """`reason` is the peer's own code or text (a dmsg error code, a net/rpc error text)."""

    code = "refused"
    http_status = 502

    def __init__(self, message: str, reason: int | str = "") -> None:
        super().__init__(message)
        self.reason = reason


class NotFound(SkywireError):
    code = "not_found"
    http_status = 404


class Conflict(SkywireError):
    code = "conflict"
    http_status = 409


class Unavailable(SkywireError):
    code = "unavailable"
    http_status = 503


class Forbidden(SkywireError):
    code = "forbidden"
    http_status = 403


class NotSupported(SkywireError):
    code = "not_supported"
    http_status = 501
