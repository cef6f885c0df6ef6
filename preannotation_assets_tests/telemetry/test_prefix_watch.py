"""An operator learns that the instructions are read anew with each page, in time to do something."""

import threading

import pytest

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.telemetry.prefix_watch import PrefixWatch, warned_of_rereading
from preannotation_assets.throttling.permit_messages import PermitReport

GPU, OTHER = "http://gpu:11434", "http://other:11434"
CONSTANT = 1800


def _report(tokens: int, reused: int, attempt: int = 1, warm_up: float | None = None) -> PermitReport:
    return PermitReport(
        AttemptOutcome.ANSWERED,
        available=True,
        attempt=attempt,
        prompt_tokens=tokens,
        prompt_seconds=(tokens - reused) / 1000,
        estimated_prompt_tokens=round(tokens * 4 / 3),
        warm_up_seconds=warm_up,
        warm_up_prompt_tokens=CONSTANT if warm_up else None,
        warm_up_prompt_seconds=warm_up,
    )


def _watched(pages: int, reused: int) -> PrefixWatch:
    watch = PrefixWatch(2400)
    watch.observe(GPU, _report(2100, reused, warm_up=1.8))
    for number in range(1, pages):
        watch.observe(GPU, _report(2100 + 37 * number, reused))
        watch.observe(OTHER, _report(2100 + 37 * number, CONSTANT))
    return watch


def test_an_endpoint_that_reads_the_constant_part_anew_is_named_once_with_what_to_do() -> None:
    watch = _watched(30, 0)
    [line] = watch.warnings()
    assert line.startswith(f"{GPU} reads about 100% of the 1800 tokens before each page anew")
    assert "PREANNOTATION_MAX_IN_FLIGHT" in line
    assert watch.warnings() == []
    assert watch.shares()[GPU] <= 0.1


def test_nothing_is_said_where_it_is_reused_or_too_early_to_tell() -> None:
    assert _watched(30, CONSTANT).warnings() == []
    assert _watched(10, 0).warnings() == []
    assert PrefixWatch(2400).shares() == {}


def test_the_share_is_known_by_endpoint_and_texts_asked_again_do_not_count() -> None:
    watch = _watched(30, 0)
    for _ in range(200):
        watch.observe(GPU, _report(3000, 2999, attempt=2))
    shares = watch.shares()
    assert shares[GPU] <= 0.1
    assert shares[OTHER] >= 0.9


@pytest.mark.parametrize("interval", [0.005, 3600.0])
def test_warnings_are_passed_on_while_it_runs_and_at_the_end_also_of_a_failure(interval: float) -> None:
    told: list[str] = []
    heard = threading.Event()

    def warn(line: str) -> None:
        told.append(line)
        heard.set()

    def run() -> None:
        with warned_of_rereading(_watched(30, 0), warn, interval):
            if interval < 1:
                assert heard.wait(20)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(told) == 1
