from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.evaluation.held_out import digest_of, is_held_out


def test_documents_stay_on_their_side() -> None:
    """Literals: another split would measure with what was an example in a scheme of yesterday."""
    assert digest_of("vessels_ocr_7/a") == "964c32b83c0cd69d"
    sides = {doc_id: is_held_out(doc_id) for doc_id in ("vessels_ocr_7/a", "vessels_ocr_7/b", "é", "")}
    assert sides == {"vessels_ocr_7/a": False, "vessels_ocr_7/b": False, "é": True, "": True}


@given(st.text())
def test_any_doc_id_has_a_side_and_a_name_of_sixteen_digits(doc_id: str) -> None:
    assert len(digest_of(doc_id)) == 16
    assert is_held_out(doc_id) is (digest_of(doc_id)[0] in "02468ace")


def test_half_of_the_documents_are_held_out() -> None:
    held_out = sum(is_held_out(f"vessels_ocr_7/{number}") for number in range(2000))
    assert 900 < held_out < 1100
