"""A document that is read a piece at a time is what ``json.loads`` makes of it, or is refused as there."""

import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from preannotation_assets.lake import json_documents
from preannotation_assets.lake.json_documents import Gather, json_pieces, read_document

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("\ud83d")
    | st.sampled_from(["a", "[1,{", '"]}', "12345678901234567890"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
ROWS = st.lists(st.dictionaries(st.sampled_from("xy"), SCALARS | VALUES, max_size=3), max_size=8)
DOCUMENTS = (
    VALUES
    | st.dictionaries(st.sampled_from("abc") | st.text(max_size=2), VALUES)
    | st.dictionaries(st.sampled_from("abc"), ROWS, min_size=1)
)
PIECES = st.integers(4, 60) | st.integers(4, 400)
UNHURRIED = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A document in any formatting and any encoding that JSON may have."""
    text = json.dumps(
        draw(DOCUMENTS),
        indent=draw(st.sampled_from([None, 0, 2, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", "\t: ")])),
        ensure_ascii=draw(st.booleans()),
    )
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"]))
    return f"{draw(st.sampled_from(['', '  ']))}{text}\n".encode(encoding, "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A document with a few bytes that are gone, other or doubled."""
    content = bytearray(draw(written()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 3))] = draw(
            st.sampled_from(
                [b"", b",", b"]", b"}", b'"', b"0", b"e", b"\xff", b"[", b"{", b":", b"\\", b"\0"]
            )
        )
    return bytes(content)


def outcome(content: bytes, lists: dict[str, Gather] | None = None) -> str:
    """What it is, as text: a number that is none is equal to nothing."""
    try:
        return repr(read_document(io.BytesIO(content), lists or {}))
    except ValueError:
        return "refused"


def expected(content: bytes) -> str:
    try:
        return repr(json.loads(content))
    except ValueError:
        return "refused"


@given(written() | damaged() | st.binary(max_size=8), PIECES)
@example(b"", 4)
@example(b'{"a": [1, 2.5e-1, -0]}', 9)
@example(b'{"a": 12, "a": [3]}', 4)
@example(b'{"a": [1,]}', 4)
@example(b'{"a": [{"x": 1}, {"y": "}"}, 3], "b": [{}, {}]}', 20)
@example(b'{"a": [{}, ], "b": {}}', 60)
@example(b'{"a": [], "b": [{}]}, {"c": [{}]}', 60)
@example(b'{"a" 1}', 4)
@example(b"{a: 1}", 4)
@example(b'{"a": 1} {', 4)
@example(b"123456.5", 4)
@UNHURRIED
def test_any_document_in_pieces_of_any_size(
    monkeypatch: pytest.MonkeyPatch, content: bytes, piece: int
) -> None:
    monkeypatch.setattr(json_documents, "_PIECE_BYTES", piece)
    assert outcome(content) == expected(content)
    assert outcome(content, {"a": list, "b": list, "": list}) == expected(content)


@given(written(), PIECES, st.integers(0, 3))
@UNHURRIED
def test_items_that_nobody_asks_for_are_read_over(
    monkeypatch: pytest.MonkeyPatch, content: bytes, piece: int, wanted: int
) -> None:
    monkeypatch.setattr(json_documents, "_PIECE_BYTES", piece)
    whole = json.loads(content)
    if isinstance(whole, dict) and isinstance(whole.get("a"), list):
        whole["a"] = whole["a"][:wanted]
    assert outcome(content, {"a": lambda items: list(islice(items, wanted))}) == repr(whole)


def test_what_is_nested_too_deeply_is_refused_as_it_was() -> None:
    deep = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(RecursionError):
        json.loads(deep)
    with pytest.raises(RecursionError):
        read_document(io.BytesIO(deep), {})


def test_a_long_list_is_never_held() -> None:
    held = 0

    def count(items: Iterator[object]) -> int:
        nonlocal held
        number = 0
        for number, _ in enumerate(items, start=1):
            held = max(held, source.tell() - number * len(item))
        return number

    item = json.dumps({"doc_id": "vessels_ocr_1/log", "page_num": 7})
    source = io.BytesIO(f'{{"pages": [{",".join([item] * 20_000)}]}}'.encode())
    assert read_document(source, {"pages": count}) == {"pages": 20_000}
    assert held < 2 * json_documents._PIECE_BYTES


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=5), st.sets(st.text(max_size=3)))
@UNHURRIED
def test_an_object_is_written_as_the_standard_library_does(
    monkeypatch: pytest.MonkeyPatch, document: dict[str, Any], lists: set[str]
) -> None:
    monkeypatch.setattr(json_documents, "_ITEMS_AT_ONCE", 2)
    streamed = {
        name: iter(value) if isinstance(value, list) and name in lists | {"", "a"} else value
        for name, value in document.items()
    }
    try:
        whole = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError:
        with pytest.raises(ValueError, match="Out of range"):
            list(json_pieces(streamed))
    else:
        assert "".join(json_pieces(streamed)) == whole
