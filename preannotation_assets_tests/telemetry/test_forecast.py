"""When a run that goes on steadily will have ended, told on the way."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.telemetry.forecast import Forecast, Work
from preannotation_assets.throttling.dispatcher import EndpointTotals, Progress
from preannotation_assets.throttling.endpoint_pool import EndpointState

ENDPOINT = "http://gpu"
START_SECONDS = 4.0


@dataclass(frozen=True)
class Request:
    """A request that was answered, or whose text was split into ``parts``."""

    began: float
    ended: float
    tokens: int
    parts: tuple[int, ...] = ()


def answered(
    texts: Sequence[int],
    slots: int,
    seconds: Callable[[int], float],
    longest: int = 1_000_000,
    overlap: int = 0,
) -> list[Request]:
    """The requests of a run that always has ``slots`` of them in flight, the longest text first.

    An answer to more than ``longest`` tokens does not fit: the text is split in two, that overlap.
    """
    free = [START_SECONDS] * slots
    waiting = [(-tokens, START_SECONDS) for tokens in texts]
    heapq.heapify(waiting)
    requests = []
    while waiting:
        tokens, since = heapq.heappop(waiting)
        began = max(heapq.heappop(free), since)
        half = (-tokens + overlap) // 2
        parts = (half, -tokens + overlap - half) if -tokens > longest else ()
        request = Request(began, began + seconds(-tokens), -tokens, parts)
        requests.append(request)
        heapq.heappush(free, request.ended)
        for part in parts:
            heapq.heappush(waiting, (-part, request.ended))
    return requests


def seen(requests: Sequence[Request], slots: int, seconds: float) -> Progress:
    """The progress at that moment."""
    ended = [request for request in requests if request.ended <= seconds]
    in_flight = [request for request in requests if request.began <= seconds < request.ended]
    busy = sum(request.ended - request.began for request in ended)
    whole = [request for request in ended if not request.parts]
    cut = [request for request in ended if request.parts]
    vain = sum(request.ended - request.began for request in cut)
    return Progress(
        seconds=seconds,
        answered=len(whole),
        failed=0,
        split=len(cut),
        repeated={},
        endpoints={ENDPOINT: EndpointState(len(in_flight), slots, slots, slots, 0)},
        totals={ENDPOINT: EndpointTotals(answered=len(whole), busy_seconds=busy)},
        added=len(cut),
        done_tokens=sum(request.tokens for request in whole),
        added_tokens=sum(sum(request.parts) - request.tokens for request in cut),
        split_seconds=vain,
        open_seconds=sum(seconds - request.began for request in in_flight),
    )


def errors(requests: Sequence[Request], texts: Sequence[int], slots: int) -> list[float]:
    """By how much of what was left the forecasts were wrong, from the first quarter of the run on.

    The last tenth of the run is one moment: what is left of it may be a single request.
    """
    forecast = Forecast(Work(len(texts), sum(texts)))
    end = max(request.ended for request in requests)
    wrong = []
    interval = max(1.0, end / 60)
    for moment in takewhile(lambda moment: moment < end, (interval * number for number in count(1))):
        said = forecast.seconds_left(seen(requests, slots, moment))
        if moment - START_SECONDS >= (end - START_SECONDS) / 4:
            wrong.append(abs((said or 0.0) - (end - moment)) / max(end - moment, end / 10))
    return wrong


LENGTHS = st.one_of(st.integers(300, 6000), st.sampled_from([300, 500, 800, 1500, 3000, 6000]))


@given(
    pages=st.lists(LENGTHS, min_size=12, max_size=12),
    slots=st.integers(1, 4),
    rounds=st.integers(4, 5),
    besides=st.integers(0, 100),
    too_long=st.integers(0, 3),
    speed=st.sampled_from([0.0005, 0.025]),
)
@settings(max_examples=15)
def test_a_steady_run_ends_when_it_is_said_to(
    pages: list[int], slots: int, rounds: int, besides: int, too_long: int, speed: float
) -> None:
    texts, longest = pages * slots * rounds, max(pages)
    # A few: what they take in vain is no steady part of a run.
    texts += [longest + 1] * min(too_long, sum(texts) // (30 * longest))
    requests = answered(texts, slots, lambda tokens: speed * (tokens + besides), longest, overlap=200)
    wrong = errors(requests, texts, slots)
    assert wrong
    assert max(wrong) < 0.2


def test_texts_that_were_too_long_do_not_make_the_others_look_slow() -> None:
    texts = [5000] * 12 + [1000] * 400
    requests = answered(texts, 4, lambda tokens: 0.01 * tokens, longest=4000, overlap=200)
    assert sum(1 for request in requests if request.parts) == 12
    assert max(errors(requests, texts, 4)) < 0.2


def _progress(seconds: float, tokens: int, requests: int, busy: float, in_flight: int = 4) -> Progress:
    return Progress(
        seconds=seconds,
        answered=requests,
        failed=0,
        split=0,
        repeated={},
        endpoints={ENDPOINT: EndpointState(in_flight, 4, 4, 4, 0)},
        totals={ENDPOINT: EndpointTotals(busy_seconds=busy)},
        done_tokens=tokens,
    )


def _steady(looks: int) -> Forecast:
    """Of 1,000 requests of 950 tokens and 60 s, four at a time, looked at every 15 s so often."""
    forecast = Forecast(Work(requests=1_000, tokens=950_000))
    for moment in range(1, looks + 1):
        forecast.seconds_left(_progress(15.0 * moment, 950 * moment, moment, 60.0 * moment))
    return forecast


def test_a_run_that_becomes_slower_is_forecast_as_slow_as_it_has_become() -> None:
    forecast = _steady(looks=100)
    # From here on a request takes twice as long.
    for moment in range(1, 31):
        done = 100 + moment / 2
        left = forecast.seconds_left(
            _progress(1_500.0 + 15.0 * moment, int(950 * done), int(done), 6_000.0 + 60.0 * moment)
        )
    assert left == pytest.approx((1_000 - 115) * 120.0 / 4, rel=0.05)


def test_a_run_that_loses_half_of_its_slots_takes_twice_as_long() -> None:
    forecast = _steady(looks=40)
    for moment in range(1, 4):
        done = 40 + moment / 2
        left = forecast.seconds_left(
            _progress(600.0 + 15.0 * moment, int(950 * done), int(done), 2_400.0 + 30.0 * moment, 2)
        )
    assert left == pytest.approx((1_000 - 41) * 60.0 / 2, rel=0.05)


def test_nothing_done_and_nothing_in_flight_is_no_forecast() -> None:
    forecast = Forecast(Work(requests=10, tokens=1_000))
    assert forecast.seconds_left(_progress(15.0, 0, 0, 0.0)) is None
    assert forecast.seconds_left(replace(_progress(16.0, 0, 0, 0.0), open_seconds=4.0)) is None
    assert forecast.seconds_left(_progress(30.0, 500, 5, 60.0)) is not None
    resting = [
        forecast.seconds_left(_progress(30.0 + 15.0 * moment, 500, 5, 60.0, 0)) for moment in range(1, 5)
    ]
    assert resting[-1] is None


def test_requests_that_hang_use_up_the_forecast() -> None:
    forecast = Forecast(Work(requests=10, tokens=1_000))
    forecast.seconds_left(replace(_progress(15.0, 500, 5, 60.0), open_seconds=0.0))
    hanging = replace(_progress(600.0, 500, 5, 60.0), open_seconds=4 * 585.0)
    assert forecast.seconds_left(hanging) is None
