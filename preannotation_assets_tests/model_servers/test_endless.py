"""Which answers are given up while they come: those that repeat what the page does not."""

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.model_servers.endless import EndlessWatch, cannot_end, is_blank, is_repeating

PORTS = ["Cowes", "Tilbury", "Rotterdam", "Hull", "Leith", "Brest"]


def _answer(ports: Sequence[str]) -> str:
    return '{"spans":[' + ",".join(json.dumps({"port": port}, separators=(",", ":")) for port in ports)


def test_one_object_again_and_again_cannot_end() -> None:
    assert cannot_end(_answer(["Cowes"] * 60), "Arrived at Cowes, bound for Hull.")


def test_a_register_may_hold_one_port_as_often_as_the_answer_says() -> None:
    page = "\n".join(f"{day} June  Cowes" for day in range(60))

    assert not cannot_end(_answer(["Cowes"] * 60), page)
    assert cannot_end(_answer(["Cowes"] * 61), page)


def test_a_quote_that_a_line_break_or_case_changes_is_still_on_the_page() -> None:
    assert not cannot_end(_answer(["Isle of Wight"] * 40), "ISLE OF\nWIGHT, " * 40)


@pytest.mark.parametrize("loop", ["A.S.", " ", "\n", "0", '\\"', "ab"])
def test_a_loop_that_is_no_whole_quote_cannot_end(loop: str) -> None:
    assert cannot_end('{"spans":[{"port":"' + loop * (700 // len(loop) + 1), loop * 2000)


def test_half_of_a_cycle_that_is_on_the_page_does_not_save_the_other_half() -> None:
    assert cannot_end(_answer(["Cowes", "Nowhere"] * 30), "Cowes " * 100)


def test_a_long_answer_of_different_quotes_goes_on() -> None:
    ports = [f"{PORTS[number % 6]} {number}" for number in range(400)]

    assert not cannot_end(_answer(ports), "no such port")


def test_a_short_answer_is_not_judged() -> None:
    assert not cannot_end(_answer(["Cowes"] * 20), "")
    assert not is_repeating("{")


def test_an_answer_that_has_not_begun_is_blank() -> None:
    assert is_blank("{\n\n \t")
    assert not is_blank('{"spans"')


def _event(text: str) -> bytes:
    return json.dumps({"text": text, "logprobs": [-0.25]}).encode() + b"\n"


def _delta(line: bytes) -> str:
    return str(json.loads(line)["text"])


@given(st.lists(st.integers(1, 2000), max_size=30))
def test_where_the_stream_is_cut_into_parts_does_not_matter(cuts: list[int]) -> None:
    stream = b"".join(map(_event, _answer(["Cowes"] * 150)))
    watch = EndlessWatch(_delta, "Cowes")
    parts, place = [], 0
    for cut in cuts:
        parts.append(stream[place : place + cut])
        place += cut

    seen = [watch.sees_no_end(part) for part in [*parts, stream[place:]]]

    assert any(seen)


def test_it_is_seen_long_before_the_longest_answer() -> None:
    watch = EndlessWatch(_delta, "Cowes")
    events = map(_event, _answer(["Cowes"] * 2000))

    unseen = sum(1 for _ in itertools.takewhile(lambda event: not watch.sees_no_end(event), events))

    assert unseen < 2000


@given(st.text(max_size=2000), st.text(max_size=50))
def test_any_answer_to_any_page_is_judged(content: str, page: str) -> None:
    assert cannot_end(content, page) in (True, False)


@given(st.lists(st.sampled_from(PORTS), min_size=1, max_size=6), st.integers(20, 60))
def test_what_the_page_holds_as_often_is_never_given_up(cycle: list[str], often: int) -> None:
    ports = cycle * often

    assert not cannot_end(_answer(ports), " ".join(ports))
