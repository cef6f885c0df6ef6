"""What a report says of the work that a server did."""

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.throttling.permit_messages import PermitReport


def test_the_instructions_that_all_requests_begin_with_are_no_work() -> None:
    short, long = (
        PermitReport(
            AttemptOutcome.ANSWERED,
            available=True,
            prompt_tokens=prompt_tokens,
            answer_tokens=20,
            done_tokens=80,
        )
        for prompt_tokens in (100, 10_000)
    )

    assert short.work == long.work == 22.0


def test_a_server_that_counts_no_tokens_does_one_answer() -> None:
    assert PermitReport(AttemptOutcome.ANSWERED, available=True, done_tokens=80).work == 1.0
