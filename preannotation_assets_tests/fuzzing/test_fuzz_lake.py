"""Whatever became of a file in the lake, it is read or told as a StorageError that quotes nothing of it."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fuzzing.mutations import ODD_VALUES, fuzz, refusal, spoilt_bytes, spoilt_json
from preannotation_assets import manifests
from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan, read_answers
from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.errors import BatchError, StorageError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.lease import DatasetLease
from preannotation_assets.lake.s3_bodies import bare
from preannotation_assets.lake.s3_errors import describe

WORD = "QZXWVQZXWVQZXWV"
# A split row that names itself, and so never ends.
ENDLESS = [{"start": 0, "end": 6, "request_key": "c"}]
PIECES = [{"start": 0, "end": 3, "request_key": "b"}, {"start": 3, "end": 6, "request_key": "a"}]


def answers_file(pieces: Any = PIECES, **more: Any) -> bytes:
    """A file of the answer store with two rows of every kind."""
    rows = [
        {
            **dict.fromkeys(ANSWERS.names), "request_key": key, "status": status, "answer": f"{WORD} {key}",
            "token_lengths": [3, 4], "token_logprobs": [-0.5, -0.25], "estimated_prompt_tokens": 10,
            "attempts": 1, "endpoint": "http://gpu", "answered_at": 1, "run_id": "run", **more,
            "pieces": pieces if status == AnswerStatus.SPLIT else None,
        }
        for key, status in zip("abcdef", [*AnswerStatus] * 2, strict=False)
    ]  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=ANSWERS), sink, compression="zstd")
    return sink.getvalue()


def with_other_types(change: dict[str, pa.DataType]) -> bytes:
    """The same file with columns of other types, as another program may have written it."""
    table = pq.read_table(io.BytesIO(answers_file()))
    for name, kind in change.items():
        column = pa.chunked_array([pa.array([WORD] * table.num_rows, pa.string()).cast(kind)])
        table = table.set_column(table.schema.get_field_index(name), name, column)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


FILES = [answers_file(), answers_file(answered_at=9), answers_file(ENDLESS)]
MANIFESTS: dict[type[BaseModel], dict[str, Any]] = {
    manifests.PagesManifest: {
        "dataset": "d", "version": "v", "content_hash": "h", "part_rows": [2], "pages": 2, "empty_pages": 0,
        "characters": 9, "collapsed_duplicates": 0, "doc_ids_not_found": 0,
        "failed_pages": [{"doc_id": "d/1", "page_num": 1, "reason": "hash_mismatch"}],
    },
    manifests.Calibration: {"model": "m", "factor": 1.0, "requests": 3, "kind_factors": {"digits": 1.5}},
    manifests.SuggestionsManifest: {
        "dataset": "d", "rows": 1, "bytes": 9, "pages_processed": 1, "pages_with_spans": 1,
        "pages_without_spans": [{"doc_id": "d/1", "page_num": 1, "text_sha256": "0"}], "failed_pages": [],
        "spans_by_label": {"port": 1}, "quotes_by_outcome": {}, "groundings_by_match": {}, "model": "m",
        "model_version": "v", "prompt_version": "p", "input_version": "i", "content_hash": "h",
        "parquet_etag": "e", "run_id": "r", "published_at": "2026-01-02T00:00:00Z",
        "verification": {"subject": "s", "rows": 1, "shifted_pages": 0},
    },
}  # fmt: skip


def store_with(folder: Path, key: str, content: bytes) -> ObjectStore:
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder / key).write_bytes(content)
    return open_store(StoreLocation(str(folder)))


def read_all(store: ObjectStore) -> None:
    """Everything that a run makes of its answers."""
    index = AnswerIndex.read(store, "answers")
    for key in "abcdef":
        list(index.leaves(RequestSpan(0, 6, key)))
    read_answers(store, {key: found for key in "abcdef" if (found := index.get(key))})


def assert_read_or_refused(store: ObjectStore) -> None:
    error = refusal(lambda: read_all(store), StorageError)
    assert WORD not in f"{error!r} {error and error.__cause__!r}"


@given(spoilt_bytes(FILES))
@fuzz(250)
def test_a_damaged_file_of_answers_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    assert_read_or_refused(store_with(tmp_path, "answers/run/a.parquet", content))


@pytest.mark.parametrize("name", ANSWERS.names)
def test_a_column_of_another_type_is_read_or_refused_without_a_word_of_it(tmp_path: Path, name: str) -> None:
    for kind in (pa.string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())):
        assert_read_or_refused(store_with(tmp_path, "answers/run/a.parquet", with_other_types({name: kind})))


@pytest.mark.parametrize("kind", MANIFESTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@fuzz(80)
def test_a_damaged_manifest_is_read_or_refused(
    tmp_path: Path, kind: type[BaseModel], data: st.DataObject
) -> None:
    good = {**MANIFESTS[kind], WORD: WORD}
    content = data.draw(spoilt_json([good]) | spoilt_bytes([json.dumps(good).encode()]))
    store = store_with(tmp_path, "manifest.json", content)
    error = refusal(lambda: read_manifest(store, "manifest.json", kind), StorageError)
    assert WORD not in repr(error)


LEASE = {"run_id": "r", "held": False, "renewals": 3, "host": "h", "pid": 1, "boot_id": "b", "started": "1"}


@given(spoilt_json([LEASE]) | spoilt_bytes([json.dumps(LEASE).encode()]))
@fuzz(40)
def test_a_damaged_lease_is_taken_or_refused(tmp_path: Path, content: bytes) -> None:
    store = store_with(tmp_path, "lease.json", content)

    def take() -> None:
        with DatasetLease(store, "lease.json", "mine", lambda reason: None, lifetime_seconds=0.001):
            assert json.loads((tmp_path / "lease.json").read_bytes())["run_id"] == "mine"

    refusal(take, StorageError, BatchError)


@given(code=ODD_VALUES.map(str) | st.none(), status=st.integers(100, 999))
@fuzz(200)
def test_whatever_an_s3_server_gives_as_code_is_told_in_a_short_line(code: str | None, status: int) -> None:
    reply = {"Error": {"Code": code, "Message": WORD}, "ResponseMetadata": {"HTTPStatusCode": status}}
    told = describe("s3://bucket/key", ClientError(reply, "PutObject"))
    assert isinstance(told, StorageError)
    assert WORD not in str(told)
    assert str(told).isprintable()
    assert len(str(told)) < 300


@given(st.text(max_size=40))
def test_any_etag_loses_its_quotes_or_is_refused_without_being_repeated(etag: str) -> None:
    try:
        told = bare(f'"{etag}"')
    except ValueError as error:
        told = str(error)
        assert told == "no etag"
    assert '"' not in told
