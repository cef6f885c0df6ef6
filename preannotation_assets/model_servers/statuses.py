"""What HTTP statuses say, whichever kind of server answers with them. Pure.

A body is looked at for error codes only and is never passed on: a proxy's page, or an error that quotes the
request, does not belong into a log.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from preannotation_assets.errors import AccessDeniedError
from preannotation_assets.model_servers.addresses import OPENAI
from preannotation_assets.model_servers.json_values import as_json, load_object
from preannotation_assets.model_servers.outcomes import Reason, Unavailable

__all__ = [
    "BAD_REQUEST",
    "NOT_FOUND",
    "error_text",
    "is_denied",
    "is_wrong_for_all",
    "judge_unavailable",
    "key_error",
    "login_error",
    "parse_retry_after",
]

BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
_OVERLOADED: Final = frozenset((429, 503))
_LOGIN: Final = frozenset((301, 302, 303, 307, 308))
_DENIED: Final = frozenset((401, 403))
_WRONG_FOR_ALL: Final = _DENIED | {NOT_FOUND, 405}
_SERVER_ERRORS: Final = 500
_REQUEST_TIMEOUT: Final = 408


def judge_unavailable(status: int, headers: Mapping[str, str]) -> Unavailable | None:
    """Whether the server could not serve the request now; ``headers`` has lower-case names."""
    if status in _OVERLOADED:
        reason = Reason.OVERLOADED
    elif status >= _SERVER_ERRORS or status == _REQUEST_TIMEOUT:
        reason = Reason.SERVER_ERROR
    else:
        return None
    return Unavailable(reason, parse_retry_after(headers.get("retry-after")))


def is_wrong_for_all(status: int) -> bool:
    """Whether no request gets past this status, whatever it holds."""
    return status in _WRONG_FOR_ALL


def is_denied(status: int, error: str | None) -> bool:
    """Whether a login stands before the server; ``error`` is the server's own, None where it has none."""
    return status in _LOGIN or status in _DENIED or (status < BAD_REQUEST and error is None)


def login_error(endpoint: str, kind: str, status: int) -> AccessDeniedError:
    """What is told of a login page; ``kind`` is the kind of server that was expected."""
    return AccessDeniedError(
        f"{endpoint} answers with status {status} and not with {kind}'s JSON, as a login page does",
        "set CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET, which go over https to servers only that the"
        " environment names, or ask for access",
    )


def key_error(endpoint: str, status: int, variable: str) -> AccessDeniedError:
    """What is told of a server that wants a key of its own, which is in an environment ``variable``."""
    return AccessDeniedError(
        f"{endpoint} answers with status {status}: it wants another key, or one at all",
        f"set {variable} to the server's key where the run and its tasks read their environment; it goes to"
        f" servers only that {OPENAI.cure_variables} names there",
    )


def error_text(body: bytes) -> str | None:
    """The ``error`` of a JSON object, as text; None where the body is no JSON object that can be read."""
    payload = load_object(body)
    if payload is None:
        return None
    error = payload.get("error", "")
    return error if isinstance(error, str) else as_json(error)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait, from a Retry-After header in either of its forms (RFC 9110, 10.2.3).

    ``now`` is needed for the date form and defaults to the present. None where there is no such
    header or it makes no sense.
    """
    if value is None:
        return None
    if re.fullmatch(r"[ \t]*[0-9]{1,15}[ \t]*", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
