from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import SettingsError
from preannotation_assets.evaluation.responses import (
    PageText,
    Response,
    ResponseStatus,
    latest,
    majority,
    of_annotator,
    parse_gold_rule,
    select_responses,
)
from preannotation_assets.extraction.segments import Mark

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PUBLISHED = {("a", 1): PageText("now", 20), ("a", 2): PageText("now", 20)}


def response(
    annotator: str = "ada",
    *spans: tuple[int, int, str],
    page: int = 1,
    sha256: str = "now",
    status: str = "submitted",
    minutes: int | None = 0,
) -> Response:
    at = None if minutes is None else NOON + timedelta(minutes=minutes)
    return Response("a", page, sha256, annotator, status, at, tuple(Mark(*span) for span in spans))


def test_every_response_is_used_or_counted_with_its_reason() -> None:
    responses = [
        response("ada", (0, 4, "port")),
        response("bob"),
        response("bob", page=2),
        response("ada", page=2, sha256="before"),
        response("ada", page=3),
        response("cyd", status="draft"),
        response("dan", status="discarded"),
        response("eve", status="pending"),
        response("fay", (0, 21, "port")),
        response("gil", (4, 4, "port")),
        response("hal", (-1, 4, "port")),
        # In the figures it would stand for all labels.
        response("ida", (0, 4, "port"), (5, 9, "")),
    ]
    selected = select_responses(responses, PUBLISHED)
    assert {page: [each.annotator for each in found] for page, found in selected.by_page.items()} == {
        ("a", 1): ["ada", "bob"],
        ("a", 2): ["bob"],
    }
    assert selected.uses == {
        "used": 3, "other_text": 1, "not_published": 1, "draft": 1, "discarded": 1, "other_status": 1,
        "impossible_span": 4,
    }  # fmt: skip
    assert sum(selected.uses.values()) == len(responses)


def test_a_response_about_a_document_that_gave_examples_is_counted_and_not_used() -> None:
    published = {("a", 1): PageText("now", 20, is_learned_from=True), ("a", 2): PageText("now", 20)}
    responses = [response(), response(page=2), response("bob", status="draft"), response(sha256="before")]
    selected = select_responses(responses, published)
    assert selected.by_page.keys() == {("a", 2)}
    # What would not have counted anyway says why.
    assert selected.uses == {"used": 1, "learned_from": 1, "draft": 1, "other_text": 1}


def test_of_two_responses_of_one_expert_the_later_counts_in_whatever_order_they_are_read() -> None:
    early, late = response("ada", (0, 4, "port"), minutes=None), response("ada", minutes=5)
    for order in ([early, late], [late, early]):
        selected = select_responses(order, PUBLISHED)
        assert selected.by_page == {("a", 1): (late,)}
        assert selected.uses == {"used": 1, "superseded": 1}


def test_a_later_draft_does_not_take_the_place_of_what_was_submitted() -> None:
    submitted = response("ada", (0, 4, "port"))
    draft = response("ada", minutes=9, status=ResponseStatus.DRAFT)
    assert select_responses([submitted, draft], PUBLISHED).by_page == {("a", 1): (submitted,)}


THREE = [
    response("ada", (0, 4, "port"), (5, 9, "owner"), minutes=1),
    response("bob", (0, 4, "port"), (5, 9, "port"), minutes=3),
    response("cyd", (0, 4, "owner"), minutes=2),
]


def test_the_rules_for_the_gold() -> None:
    assert latest(THREE) == (Mark(0, 4, "port"), Mark(5, 9, "port"))
    assert majority(THREE) == (Mark(0, 4, "port"),)
    assert of_annotator("cyd")(THREE) == (Mark(0, 4, "owner"),)
    assert of_annotator("nobody")(THREE) is None


def test_half_of_the_experts_are_no_majority() -> None:
    assert majority(THREE[:2]) == (Mark(0, 4, "port"),)
    assert majority(THREE[1:]) == ()


def test_a_reviewed_page_without_a_span_has_an_empty_gold_by_every_rule() -> None:
    assert [rule([response("ada")]) for rule in (latest, majority, of_annotator("ada"))] == [(), (), ()]


@given(st.permutations(THREE))
def test_the_gold_does_not_depend_on_the_order_of_responses(order: Sequence[Response]) -> None:
    for rule in (latest, majority, of_annotator("ada")):
        assert rule(order) == rule(THREE)


def test_a_span_that_an_expert_gave_twice_counts_once() -> None:
    twice = [response("ada", (0, 4, "port"), (0, 4, "port"))]
    assert latest(twice) == majority(twice) == of_annotator("ada")(twice) == (Mark(0, 4, "port"),)


def test_a_setting_names_a_rule() -> None:
    assert parse_gold_rule("latest") is latest
    assert parse_gold_rule("majority") is majority
    assert parse_gold_rule("annotator:cyd")(THREE) == (Mark(0, 4, "owner"),)


@pytest.mark.parametrize("text", ["", "first", "annotator:", "Latest"])
def test_a_setting_that_names_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="annotator:NAME"):
        parse_gold_rule(text)
