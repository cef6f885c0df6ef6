"""botocore's errors as the package's own: one line each, with the address and the error code only."""

from collections.abc import Iterator
from contextlib import contextmanager

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

from preannotation_assets.errors import ObjectNotFoundError, StorageError

__all__ = ["NO_OBJECT", "UNREACHABLE", "describe", "error_code", "may_be_done", "translated"]

NO_OBJECT = ("NoSuchKey", "404", "NotFound")
"""Codes of a missing object; a HEAD reply has no body, and so only the status."""

UNREACHABLE = (NoConnectionError, HTTPClientError, IncompleteReadError)
"""What botocore raises when there is no reply, or one that breaks off."""

_DENIED = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")
_RIGHTS_CURE = "the credentials need s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket"
_CURES = {
    "SignatureDoesNotMatch": "the secret does not fit the access key: check AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId": "the store does not know the access key: check AWS_ACCESS_KEY_ID",
    "RequestTimeTooSkewed": "this machine's clock differs from the store's by minutes: set it",
    "ExpiredToken": "the credentials have expired: get new ones",
}
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, ProfileNotFound)
_UNAUTHORIZED, _FORBIDDEN, _SERVER_ERROR = 401, 403, 500


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise a StorageError about ``place`` for an error of botocore in the block."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise describe(place, error) from error


def error_code(error: ClientError | BotoCoreError) -> str:
    """Return the server's error code, or the name of the exception where no server answered."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "") or str(_status(error))
    return type(error).__name__


def _status(error: ClientError) -> int:
    """Return the status of the server's reply, 0 where it is not known."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def may_be_done(error: ClientError) -> bool:
    """Tell whether the write may have been done in spite of the error, or the object be gone."""
    return _status(error) >= _SERVER_ERROR or error_code(error) in NO_OBJECT


def describe(place: str, error: ClientError | BotoCoreError) -> StorageError:
    """Say in one line what a botocore error means for a place; nothing of the reply but its code."""
    code = error_code(error)
    if isinstance(error, ClientError):
        return _describe_answer(place, code, _status(error))
    if isinstance(error, _NO_CREDENTIALS):
        return StorageError(
            f"there are no usable credentials for {place} ({code})", "see boto3's credential chain"
        )
    if isinstance(error, UNREACHABLE):
        return StorageError(
            f"the store of {place} cannot be reached ({code})", "check AWS_ENDPOINT_URL and the network"
        )
    return StorageError(f"{place} cannot be used ({code})")


def _describe_answer(place: str, code: str, status: int) -> StorageError:
    if code == "NoSuchBucket":
        return StorageError(f"the bucket of {place} does not exist ({code})", "create it or change the root")
    if code in NO_OBJECT:
        return ObjectNotFoundError(f"there is no object {place} ({code})")
    if code in _DENIED or status in (_UNAUTHORIZED, _FORBIDDEN):
        return StorageError(f"access to {place} is denied ({code})", _CURES.get(code, _RIGHTS_CURE))
    return StorageError(f"the store failed on {place} ({code})")
