"""What ``preannotate try`` says about quotes."""

from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.trying.report import _REASONS


def test_every_reason_for_leaving_a_quote_out_has_its_words() -> None:
    assert set(_REASONS) == set(QuoteOutcome) - {QuoteOutcome.KEPT}
