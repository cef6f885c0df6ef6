import hashlib

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.pages import (
    PageFault,
    PageRow,
    SourceRow,
    TextFault,
    check_pages,
    text_sha256,
)


def source(text: str | None, page: int | None = 1, sha256: str | None = None, doc_id: str = "a") -> SourceRow:
    return SourceRow(doc_id, page, text, text_sha256(text or "") if sha256 is None else sha256)


def faults(*rows: SourceRow) -> list[TextFault | None]:
    return [result.fault if isinstance(result, PageFault) else None for result in check_pages(rows)]


def test_the_hash_is_of_the_utf8_bytes() -> None:
    text = "Zoë\r\n🚢\0"
    assert text_sha256(text) == hashlib.sha256(text.encode("utf-8")).hexdigest()
    assert faults(source(text)) == [None]
    assert faults(source(text.replace("\r\n", "\n"), sha256=text_sha256(text))) == [TextFault.HASH_MISMATCH]
    assert faults(source("")) == [None]


def test_the_case_of_a_hash_does_not_matter_and_is_kept() -> None:
    (page,) = check_pages([source("x", sha256=text_sha256("x").upper())])
    assert page == PageRow("a", 1, "x", text_sha256("x").upper())


def test_each_fault_is_named() -> None:
    assert faults(source(None)) == [TextFault.TEXT_MISSING]
    assert faults(source("x", page=None)) == [TextFault.PAGE_NUMBER_MISSING]
    assert faults(source("x", sha256="")) == [TextFault.HASH_MISSING]
    assert faults(SourceRow("a", 1, "x", None)) == [TextFault.HASH_MISSING]
    for page in (-1, 2**31, 2**63):
        assert faults(source("x", page=page)) == [TextFault.PAGE_NUMBER_OUT_OF_RANGE]
    for page in (0, 2**31 - 1):
        assert faults(source("x", page=page)) == [None]


def test_identical_rows_are_one_page_and_others_a_conflict() -> None:
    (page,) = check_pages([source("x")] * 3)
    assert isinstance(page, PageRow)
    assert page.copies == 3
    assert faults(source("x"), source("x"), source("y")) == [TextFault.CONFLICTING_VERSIONS]
    assert faults(source("x"), source("x", sha256="0")) == [TextFault.CONFLICTING_VERSIONS]
    assert faults(source("x"), source("x", page=2), source("x", doc_id="b")) == [None, None, None]
    assert faults(source("x", page=None), source("y", page=None)) == [TextFault.PAGE_NUMBER_MISSING]


values = st.sampled_from([None, "", "x", "y"])
rows = st.builds(
    lambda doc_id, page, text, right: source(text, page, None if right else "0", doc_id),
    st.sampled_from("ab"),
    st.none() | st.integers(-1, 2),
    values,
    st.booleans(),
)


@given(st.lists(rows, max_size=12))
def test_every_page_has_exactly_one_result(rows: list[SourceRow]) -> None:
    ordered = sorted(rows, key=lambda row: (row.doc_id, row.page_num is None, row.page_num or 0))
    results = list(check_pages(ordered))
    assert [(result.doc_id, result.page_num) for result in results] == list(
        dict.fromkeys((row.doc_id, row.page_num) for row in ordered)
    )
    for result in results:
        if isinstance(result, PageRow):
            assert result.text_sha256 == text_sha256(result.text)
            assert result.copies == ordered.count(source(result.text, result.page_num, None, result.doc_id))
