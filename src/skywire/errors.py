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
    """A stream cannot be used any more."""

    code = "stream_error"
    http_status = 502


class StreamClosed(StreamError):
    """By us."""

    code = "stream_closed"


class StreamReset(StreamError):
    """By the peer or the network."""

    code = "stream_reset"


class DialFailed(SkywireError):
    """Nobody could be reached; the text has every attempt and its cause."""

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
    """Nothing has that key or name."""

    code = "not_found"
    http_status = 404


class Conflict(SkywireError):
    """What was asked for is in use, or there already."""

    code = "conflict"
    http_status = 409


class Unavailable(SkywireError):
    """Somebody we need does not answer, or there is no room."""

    code = "unavailable"
    http_status = 503


class Forbidden(SkywireError):
    """Not for who asked."""

    code = "forbidden"
    http_status = 403


class NotSupported(SkywireError):
    code = "not_supported"
    http_status = 501
