"""No word of a store's reply reaches an exception, its chain, its pickle, Dagster's record or a log."""

import io
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pytest
from dagster import DagsterInstance, asset, materialize
from dagster._utils.error import serializable_error_info_from_exc_info
from s3_servers.exchanges import Exchange, Habit, Reply
from s3_servers.fault_proxy import FaultProxy

from preannotation_assets.errors import PreannotationError, StorageError
from preannotation_assets.lake import (
    ObjectStore,
    RequestLimits,
    StoreLocation,
    open_for_publishing,
    open_store,
    read_json,
    read_table,
    write_table,
)
from preannotation_assets.lake.lease import DatasetLease

TOKEN: Final = "SECRETMARK-session"
KEY_ID: Final = "SECRETMARK-key-id"
PAGE: Final = "qzxwpqzxwpqzxwp"
MARKS: Final = ("SECRETMARK", "qzxw")
LARGE: Final = (PAGE * 50_000).encode()
QUICK = RequestLimits(connect_timeout=2.0, read_timeout=1.0, max_attempts=1)


def echo_of(exchange: Exchange) -> str:
    """The request as a careless gateway repeats it: the line, the headers, the beginning of the body."""
    headers = "\n".join(f"{name}: {value}" for name, value in exchange.headers.items())
    body = exchange.body[:200].decode("latin-1")
    text = f"{exchange.command} {exchange.path}\n{headers}\n{TOKEN} {PAGE} {body}"
    return "".join(each for each in text if each.isprintable() and each not in "<>&") + PAGE


def in_message(status: int, code: str) -> Habit:
    def answer(exchange: Exchange) -> Reply:
        body = f"<Error><Code>{code}</Code><Message>{echo_of(exchange)}</Message></Error>".encode()
        return status, "Refused", [("Content-Type", "application/xml")], body

    return answer


def in_code(exchange: Exchange) -> Reply:
    body = f"<Error><Code>{echo_of(exchange)}</Code><Resource>{PAGE}</Resource></Error>".encode()
    return 403, "Forbidden", [("Content-Type", "application/xml")], body


def as_a_page(exchange: Exchange) -> Reply:
    """A login page in the place of the reply."""
    body = f"<html><p>{echo_of(exchange)}<br></html>".encode()
    return 200, "OK", [("Content-Type", "text/html"), ("ETag", f'"{TOKEN} {PAGE}"')], body


def in_headers(exchange: Exchange) -> Reply:
    said = f"{TOKEN} {PAGE}"
    names = ("Last-Modified", "ETag", "Content-Range", "x-amz-request-id", "x-amz-meta-sha256", "Location")
    return 200, said, [(name, said) for name in names], b""


def as_broken_headers(exchange: Exchange) -> Reply:
    """A line that is no header, which urllib3 would log; and the length, which comes behind it, is lost."""
    return 500, "Failed", [("Content-Type", "application/xml"), (f"{TOKEN} {PAGE} x", "x")], b""


def in_a_redirect(exchange: Exchange) -> Reply:
    return 307, "Elsewhere", [("Location", f"http://127.0.0.1:9/{TOKEN}/{PAGE}")], echo_of(exchange).encode()


ECHOES: Final[dict[str, Habit]] = {
    "403": in_message(403, "AccessDenied"),
    "400 token": in_message(400, "InvalidToken"),
    "400": in_message(400, "InvalidRequest"),
    "404": in_message(404, "NoSuchKey"),
    "409": in_message(409, "OperationAborted"),
    "412": in_message(412, "PreconditionFailed"),
    "416": in_message(416, "InvalidRange"),
    "500": in_message(500, "InternalError"),
    "501": in_message(501, "NotImplemented"),
    "503": in_message(503, "SlowDown"),
    "code": in_code,
    "page": as_a_page,
    "headers": in_headers,
    "broken headers": as_broken_headers,
    "redirect": in_a_redirect,
}


def _read_in_pieces(store: ObjectStore) -> None:
    with store.open("large") as file:
        file.read()


def _lease(store: ObjectStore) -> None:
    with DatasetLease(store, "lease.json", "run", lambda _: None, lifetime_seconds=0.5):
        pass


class Place:
    """A store, and a file with page text to upload."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store = store
        self.source = folder / "source"
        self.source.write_bytes(PAGE.encode())
        self.target = folder / "target"


ACTIONS: Final[dict[str, Callable[[Place], object]]] = {
    "write": lambda place: place.store.write("k", PAGE.encode()),
    "upload": lambda place: place.store.upload("k", place.source),
    "create": lambda place: place.store.upload_if("k", place.source, None),
    "replace": lambda place: place.store.upload_if("k", place.source, "0" * 32),
    "read": lambda place: place.store.read("large"),
    "read into": lambda place: place.store.read_into("large", io.BytesIO()),
    "pieces": lambda place: _read_in_pieces(place.store),
    "download": lambda place: place.store.download("large", place.target),
    "stat": lambda place: place.store.stat("large"),
    "list": lambda place: list(place.store.list("")),
    "delete": lambda place: place.store.delete(["k"]),
    "rights": lambda place: place.store.check_writable(),
    "conditions": lambda place: place.store.check_conditional_writes(),
    "table": lambda place: read_table(place.store, "large"),
    "columns": lambda place: read_table(place.store, "large", ["text"]),
    "new table": lambda place: write_table(place.store, "k", pa.table({"text": [PAGE]})),
    "json": lambda place: read_json(place.store, "large"),
    "lease": lambda place: _lease(place.store),
}


@pytest.fixture(autouse=True)
def secrets(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setattr("preannotation_assets.lake.s3_bodies._BODY_PAUSES", (0.0,))


@pytest.fixture
def place(s3_location: StoreLocation, tmp_path: Path) -> Place:
    store = open_store(s3_location, QUICK)
    store.write("large", LARGE)
    return Place(store, tmp_path)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and all behind it, also what a traceback does not show."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [behind for behind in (each.__cause__, each.__context__) if behind]


def all_that_is_told(error: BaseException) -> str:
    told = [
        f"{each} {each!r} {each.args} {vars(each)} {getattr(each, '__notes__', '')}" for each in chain(error)
    ]
    told += traceback.format_exception(error)
    told.append(pickle.dumps(error).decode("latin-1"))
    info = serializable_error_info_from_exc_info((type(error), error, error.__traceback__))
    return "\n".join([*told, str(info)])


def marks_in(text: str) -> list[str]:
    return [mark for mark in MARKS if mark in text]


@pytest.mark.parametrize("echo", ECHOES)
def test_no_word_of_a_reply_is_told(
    place: Place, proxy: FaultProxy, caplog: pytest.LogCaptureFixture, echo: str
) -> None:
    proxy.habit = ECHOES[echo]
    caplog.set_level(logging.DEBUG)
    raised = {}
    for action, act in ACTIONS.items():
        try:
            act(place)
        except PreannotationError as error:
            raised[action] = error
    assert len(raised) >= 7
    for action, error in raised.items():
        assert "\n" not in str(error), action
        assert marks_in(all_that_is_told(error)) == [], action
        assert type(pickle.loads(pickle.dumps(error))) is type(error)
    ours = [record for record in caplog.records if record.name != "werkzeug"]
    assert marks_in("\n".join(f"{record.getMessage()} {record.exc_text}" for record in ours)) == []


def raise_with_a_hidden_context() -> None:
    try:
        int(PAGE)
    except ValueError:
        raise StorageError("x") from None


def test_the_judge_sees_what_is_only_in_the_context() -> None:
    with pytest.raises(StorageError) as caught:
        raise_with_a_hidden_context()
    assert marks_in(all_that_is_told(caught.value)) == ["qzxw"]


def test_a_parquet_file_that_cannot_be_read_is_not_quoted(s3_store: ObjectStore) -> None:
    for content in (
        PAGE.encode(),
        b"PAR1" + PAGE.encode() * 9 + b"\x99\x00\x00\x00PAR1",
        b"{" + PAGE.encode(),
    ):
        s3_store.write("k", content)
        for read in (read_table, read_json):
            with pytest.raises(StorageError) as caught:
                read(s3_store, "k")
            assert marks_in(all_that_is_told(caught.value)) == []


def test_dagster_keeps_no_word_of_it(
    place: Place, s3_location: StoreLocation, proxy: FaultProxy, tmp_path: Path
) -> None:
    @asset
    def kept() -> None:
        open_for_publishing(s3_location)

    proxy.habit = ECHOES["403"]
    (tmp_path / "dagster").mkdir()
    with DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        assert not materialize([kept], instance=instance, raise_on_error=False).success
        stored = b"".join(file.read_bytes() for file in (tmp_path / "dagster").rglob("*") if file.is_file())
    assert b"is denied (AccessDenied)" in stored
    assert marks_in(stored.decode("latin-1")) == []
