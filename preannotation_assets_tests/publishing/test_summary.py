"""The account of a run names what became of the quotes as it was."""

from preannotation_assets.publishing.summary import quote_words


def test_quotes_that_became_nothing_are_named_by_their_outcomes() -> None:
    outcomes = {"kept": 33, "invalid_value": 14, "not_found": 2, "overlap": 0}
    assert quote_words(outcomes) == "49: 33 became suggestions, 14 invalid_value, 2 not_found"
    assert quote_words({}) == "0: 0 became suggestions"
