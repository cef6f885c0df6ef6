"""botocore's errors as the package's own: one line each, and nothing of what the store says.

A store, or what stands before it, may repeat a request in its reply: page text and, in the headers, the
session token. So of a reply only its status is told, and its code where that is one of S3's own. The error
that botocore raised is not chained either: it holds the reply.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from preannotation_assets.errors import ObjectNotFoundError, StorageError

__all__ = [
    "FAULTS",
    "NO_OBJECT",
    "UNREACHABLE",
    "S3Fault",
    "describe",
    "error_code",
    "is_refusal",
    "is_unsupported",
    "may_be_done",
    "translated",
]

# What botocore lets through: of urllib3, where an error document or a listing breaks off; of its parsers,
# where the reply is another kind of document, which the exception quotes, a date is none, a header is
# missing; and of its search for the bucket's region, where every request is redirected.
S3Fault: TypeAlias = (
    ClientError | BotoCoreError | HTTPError | ResponseParserError | ValueError | KeyError | RecursionError
)
FAULTS: Final = (
    ClientError,
    BotoCoreError,
    HTTPError,
    ResponseParserError,
    ValueError,
    KeyError,
    RecursionError,
)
"""Everything that a request to a store, and the reading of its reply, may raise."""

NO_OBJECT: Final = ("NoSuchKey", "404", "NotFound")
"""Codes of a missing object; a HEAD reply has no body, and so only the status."""

UNREACHABLE: Final = (NoConnectionError, HTTPClientError, IncompleteReadError, HTTPError)
"""What is raised when there is no reply, or one that breaks off."""

_CODES: Final = frozenset(
    (
        "AccessDenied", "AccountProblem", "AllAccessDisabled", "AuthorizationHeaderMalformed", "BadDigest",
        "BadRequest", "BucketRegionError", "ConditionalRequestConflict", "EntityTooLarge", "ExpiredToken",
        "IllegalLocationConstraintException", "IncompleteBody", "InsufficientStorage", "InternalError",
        "InvalidAccessKeyId", "InvalidArgument", "InvalidBucketName", "InvalidBucketState", "InvalidDigest",
        "InvalidHeader", "InvalidObjectState", "InvalidRange", "InvalidRequest", "InvalidSecurity",
        "InvalidToken", "KeyTooLongError", "MalformedXML", "MethodNotAllowed", "MissingContentLength",
        "MissingSecurityHeader", "NoSuchBucket", "NoSuchKey", "NotFound", "NotImplemented", "NotModified",
        "NotSignedUp", "OperationAborted", "PermanentRedirect", "PreconditionFailed", "QuotaExceeded",
        "Redirect", "RequestTimeTooSkewed", "RequestTimeout", "ServiceUnavailable", "SignatureDoesNotMatch",
        "SlowDown", "SlowDownRead", "SlowDownWrite", "StorageFull", "TemporaryRedirect", "Throttling",
        "TokenRefreshRequired", "TooManyRequests", "UnauthorizedAccess", "XAmzContentSHA256Mismatch",
        "XMinioStorageFull",
    )
)  # fmt: skip
_DENIED: Final = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")
_CURES: Final = {
    "SignatureDoesNotMatch": "the secret does not fit the access key: check AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId": "the store does not know the access key: check AWS_ACCESS_KEY_ID",
    "RequestTimeTooSkewed": "this machine's clock differs from the store's by minutes: set it",
    "ExpiredToken": "the credentials have expired: get new ones",
}
_RIGHTS: Final = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
}
_NO_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
)
# Answers to a conditional write that was not done: old MinIO gives the status of a conditional read.
_REFUSALS: Final = (304, 409, 412)
_UNSUPPORTED: Final = ("NotImplemented", "501", "InvalidArgument", "InvalidHeader", "InvalidRequest", "400")
_UNAUTHORIZED, _FORBIDDEN, _SERVER_ERROR = 401, 403, 500


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise a StorageError about ``place``, alone, for a fault of the store in the block."""
    try:
        yield
    except FAULTS as fault:
        describe(place, fault).raise_alone()


def error_code(fault: S3Fault) -> str:
    """Return S3's error code, the status where the store gives another, or the exception's name."""
    if isinstance(fault, ClientError):
        code = fault.response.get("Error", {}).get("Code", "")
        return code if code in _CODES else str(_status(fault))
    return type(fault).__name__


def _status(fault: ClientError) -> int:
    """Return the status of the server's reply, 0 where it is not known."""
    return fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def may_be_done(fault: S3Fault) -> bool:
    """Tell whether the write may have been done in spite of the fault, or the object be gone."""
    if isinstance(fault, ClientError):
        return _status(fault) >= _SERVER_ERROR or error_code(fault) in NO_OBJECT
    return True


def is_refusal(fault: S3Fault) -> bool:
    """Tell whether the store says that the condition of a write did not hold."""
    return isinstance(fault, ClientError) and _status(fault) in _REFUSALS


def is_unsupported(fault: S3Fault) -> bool:
    """Tell whether the store says that it cannot make something of the condition of a write."""
    return isinstance(fault, ClientError) and error_code(fault) in _UNSUPPORTED


def describe(place: str, fault: S3Fault) -> StorageError:
    """Say in one line what a fault means for a place; nothing of the reply but its code."""
    code = error_code(fault)
    if isinstance(fault, ClientError):
        return _describe_answer(place, code, _status(fault), fault.operation_name)
    if isinstance(fault, _NO_CREDENTIALS):
        return StorageError(
            f"there are no usable credentials for {place} ({code})", "see boto3's credential chain"
        )
    if isinstance(fault, UNREACHABLE):
        return StorageError(
            f"the store of {place} cannot be reached ({code})", "check AWS_ENDPOINT_URL and the network"
        )
    if isinstance(fault, BotoCoreError):
        return StorageError(f"{place} cannot be used ({code})")
    return StorageError(
        f"the store of {place} gave a reply that no S3 server gives ({code})", "check AWS_ENDPOINT_URL"
    )


def _describe_answer(place: str, code: str, status: int, operation: str) -> StorageError:
    if code == "NoSuchBucket":
        return StorageError(f"the bucket of {place} does not exist ({code})", "create it or change the root")
    if code in NO_OBJECT:
        return ObjectNotFoundError(f"there is no object {place} ({code})")
    if code in _DENIED or status in (_UNAUTHORIZED, _FORBIDDEN):
        return StorageError(f"access to {place} is denied ({code})", _CURES.get(code, _rights(operation)))
    return StorageError(f"the store failed on {place} ({code})")


def _rights(operation: str) -> str:
    # Who may not list is answered 403 for an object that is missing.
    missing = " and s3:ListBucket" if operation in ("GetObject", "HeadObject") else ""
    return f"{operation} needs {_RIGHTS.get(operation, operation)}{missing} (docs/storage.md)"
