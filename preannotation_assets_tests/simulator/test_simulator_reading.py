"""Tokens, entities and habits: what the stand-in model makes of a text."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.simulator.entities import EntityKind, find_mentions
from preannotation_assets.simulator.habits import apply_habits, join_broken_words
from preannotation_assets.simulator.labels import kinds_of_label
from preannotation_assets.simulator.settings import HabitRates
from preannotation_assets.simulator.tokens import common_prefix_length, split_tokens

TEXTS = st.text(st.sampled_from("MV ART rn0l1\u017fé-¬\n\t.„“1850Hamburg Kapt"), max_size=200) | st.text(
    max_size=200
)


@given(TEXTS)
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


@given(
    st.lists(st.sampled_from("ab"), max_size=300),
    st.lists(st.sampled_from("ab"), max_size=300),
    st.integers(0),
)
def test_common_prefix_length(left: list[str], tail: list[str], cut: int) -> None:
    right = left[: cut % (len(left) + 1)] + tail
    expected = next(
        (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
    assert common_prefix_length(left, right) == expected


def test_tokens_are_about_as_many_as_llama_counts() -> None:
    english = (
        "The vessel sailed from London on the first day of the year with a general cargo and several "
        "passengers, who were received by the captain and his company before the end of the season."
    )
    german = "Der Dampfer hat gestern Vormittag nach stürmischer Überfahrt den Heimathafen wieder erreicht."
    assert 3.5 < len(english) / len(split_tokens(english)) < 5
    assert 1.9 < len(german) / len(split_tokens(german)) < 3.7
    assert split_tokens("9811000") == ["981", "100", "0"]


@given(TEXTS)
def test_mentions_are_the_text_in_order_and_never_overlap(text: str) -> None:
    mentions = find_mentions(text)
    assert all(text[mention.start : mention.end] == mention.text for mention in mentions)
    assert all(left.end <= right.start for left, right in pairwise(mentions))
    assert all(mention.text.strip() for mention in mentions)


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("arrived s.s. Harrier Bay from", EntityKind.VESSEL_NAME, "Harrier Bay"),
        ("Der Dampfer „Möwe“ lief aus", EntityKind.VESSEL_NAME, "Möwe"),
        ("le navire Belle-Rose est", EntityKind.VESSEL_NAME, "Belle-Rose"),
        ("in the good ship Mary Ann, bound", EntityKind.VESSEL_NAME, "Mary Ann"),
        ("Call Sign: 9HRF7", EntityKind.CALL_SIGN, "9HRF7"),
        ("Heimathafen: Elsfleth", EntityKind.PORT_OF_REGISTRY, "Elsfleth"),
        ("pavillon: France", EntityKind.FLAG, "France"),
        ("den 3. März 1904 in", EntityKind.DATE, "3. März 1904"),
        ("le 1er août 1911", EntityKind.DATE, "1er août 1911"),
        ("Gross tonnage: 12,345", EntityKind.GROSS_TONNAGE, "12,345"),
        ("Baujahr 1957", EntityKind.YEAR_BUILT, "1957"),
        ("Kapitän Petersen meldet", EntityKind.MASTER, "Petersen"),
        ("Reederei: Nordkap Linie GmbH", EntityKind.OWNER, "Nordkap Linie GmbH"),
        ("Bauwerft: Nordelbwerft", EntityKind.BUILDER, "Nordelbwerft"),
        ("with a cargo of iron ore", EntityKind.CARGO, "iron ore"),
        ("off ROTTERDARN roads", EntityKind.PORT, "ROTTERDARN"),
        ("seen by Mr. Rae today", EntityKind.PERSON, "Mr. Rae"),
    ],
)
def test_rules_in_three_languages(text: str, kind: EntityKind, found: str) -> None:
    assert (kind, found) in [(mention.kind, mention.text) for mention in find_mentions(text)]


def test_words_of_forms_are_no_names() -> None:
    assert find_mentions("SHIPPING INTELLIGENCE\nVESSEL PARTICULARS\nMaster Owner\nPort of Registry") == []


def test_a_vessel_is_found_wherever_it_is_named() -> None:
    mentions = find_mentions("M/V QUIET BAY arrived. Later Quiet Bay sailed.")
    assert [mention.text for mention in mentions] == ["QUIET BAY", "Quiet Bay"]


def _answers(text: str, rates: HabitRates, seed: int = 0) -> list[str]:
    joined = join_broken_words(text)
    return [answer.text for answer in apply_habits(find_mentions(joined), joined, rates, seed)]


def test_quotes_are_on_one_line() -> None:
    assert _answers("M/V QUIET BAY\n12\n March  1921, Rotter-\ndam", HabitRates.NONE) == [
        "QUIET BAY",
        "12 March 1921",
        "Rotterdam",
    ]


@given(TEXTS, st.integers())
def test_habits_are_the_same_in_every_run(text: str, seed: int) -> None:
    rates = HabitRates(0.5, 0.2, 0.2, 0.2, 0.2, 0.2)
    assert _answers(text, rates, seed) == _answers(text, rates, seed)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (HabitRates(1, 0, 0, 0, 0, 0), ["ROTTERDAM", "J. Dow"]),
        (HabitRates(0, 1, 0, 0, 0, 0), []),
        (HabitRates(0, 0, 1, 0, 0, 0), ["ROTTERDARN", "ROTTERDARN", "J. Dow", "J. Dow"]),
        (HabitRates(0, 0, 0, 1, 0, 0), ["ROTTERDARN", "J."]),
    ],
)
def test_each_habit(rates: HabitRates, expected: list[str]) -> None:
    assert _answers("to ROTTERDARN with Captain J. Dow", rates) == expected


def test_default_rates_invent_in_one_to_two_of_a_hundred_answers() -> None:
    letters = "ABCDEFGHIJ"
    names = ["".join(letters[int(digit)] for digit in f"{number:04d}") for number in range(2000)]
    text = "\n".join(f"M/V {name}" for name in names)
    mentions = find_mentions(text)
    answers = apply_habits(mentions, text, HabitRates(), 1)
    invented = [answer for answer in answers if answer.text not in text]
    assert len(mentions) == 2000
    assert 0.01 < len(invented) / len(answers) < 0.02
    assert {answer.quality for answer in invented} == {0.1}


def test_labels_are_known_by_many_names() -> None:
    for label in ("Vessel Name", "vessel-name", "VESSELNAME", "ship", "Ships"):
        assert kinds_of_label(label)[0] is EntityKind.VESSEL_NAME
    assert kinds_of_label("hull_colour") == ()
