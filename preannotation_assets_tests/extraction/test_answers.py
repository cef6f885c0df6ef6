import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.answers import (
    EXAMPLE_DIGIT,
    SELF_REPORTED_DIGITS,
    AnsweredQuote,
    AnswerFault,
    ParsedAnswer,
    fits_labels,
    is_empty_answer,
    parse_answer,
    readable_quotes,
    write_answer,
    write_rated_answer,
)

strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\", '\\"', "}]}", '"}, {"port": "x', "\u2028", "\x00", "🚢", "\r\n", "spans"]
)
rated = st.tuples(strings, st.sampled_from(SELF_REPORTED_DIGITS)).map(list)
values = strings | st.lists(strings, min_size=1, max_size=3) | rated
spans = st.lists(st.dictionaries(strings, values, min_size=1, max_size=2), max_size=5)
layouts = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.none() | st.integers(0, 3) | st.just("\t"),
        "separators": st.sampled_from([None, (",", ":"), (" , ", " : "), (",\n", ":\n")]),
    }
)


def members(spans: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (label, quote)
        for span in spans
        for label, value in span.items()
        for quote in ([value] if isinstance(value, str) else value)
        if isinstance(quote, str)
    ]


def digits(spans: list[dict[str, Any]]) -> list[int | None]:
    found: list[int | None] = []
    for value in (value for span in spans for value in span.values()):
        if isinstance(value, str):
            found.append(None)
        elif isinstance(value[-1], int):
            found.append(value[-1])
        else:
            found.extend([None] * len(value))
    return found


def pairs(quotes: tuple[AnsweredQuote, ...]) -> list[tuple[str, str]]:
    return [(quote.label, quote.text) for quote in quotes]


@given(spans, layouts, st.sampled_from(["", " ", "\n"]))
def test_any_spelling_of_an_answer_is_read(
    spans: list[dict[str, Any]], layout: dict[str, Any], end: str
) -> None:
    answer = json.dumps({"spans": spans}, **layout) + end
    parsed = parse_answer(answer)
    assert parsed.fault is None
    assert pairs(parsed.quotes) == members(spans)
    assert [quote.self_reported for quote in parsed.quotes] == digits(spans)
    for quote in parsed.quotes:
        assert json.loads(f'"{answer[quote.value_start : quote.value_end]}"', strict=False) == quote.text
        assert answer[quote.value_start - 1] == answer[quote.value_end] == '"'


@given(spans, layouts, st.data())
def test_an_answer_that_was_cut_off_gives_what_was_complete(
    spans: list[dict[str, Any]], layout: dict[str, Any], data: st.DataObject
) -> None:
    answer = json.dumps({"spans": spans}, **layout)
    cut = data.draw(st.integers(0, len(answer) - 1))
    whole, parsed = parse_answer(answer), parse_answer(answer[:cut])
    assert parsed.fault is (AnswerFault.INVALID if answer[:cut].strip() else AnswerFault.EMPTY)
    complete = tuple(quote for quote in whole.quotes if quote.value_end < cut)
    assert parsed.quotes[:-1] == complete[:-1]
    if complete:
        # Its digit may be behind the cut; then nothing is made up.
        unrated = replace(complete[-1], self_reported=None, closing='"]}]}')
        assert parsed.quotes[-1] in {complete[-1], unrated}


def test_a_digit_counts_where_it_is_complete() -> None:
    answer = write_rated_answer([("port", "Hull")]).replace(str(EXAMPLE_DIGIT), "8")
    assert answer == '{"spans":[{"port":["Hull",8]}]}'
    closed = answer.index("8]") + 2
    for cut in range(answer.index('",8') + 1, len(answer)):
        (quote,) = parse_answer(answer[:cut]).quotes
        assert quote.self_reported == (8 if cut >= closed else None)
        (again,) = parse_answer(answer[: quote.value_end] + quote.closing).quotes
        assert again == quote


def test_what_is_no_digit_is_a_fault_and_never_a_confidence() -> None:
    for rest in ("10", "-1", "8.5", "8e1", "true", "null", '8,"Kiel"', "8,8", "\u0668", "[8]"):
        parsed = parse_answer(f'{{"spans":[{{"port":["Hull",{rest}]}}]}}')
        assert parsed.fault is AnswerFault.INVALID
        assert [quote.self_reported for quote in parsed.quotes] == [None]
    listed = parse_answer('{"spans":[{"port":["Hull","Kiel",8]}]}')
    assert listed.fault is AnswerFault.INVALID
    assert [quote.self_reported for quote in listed.quotes] == [None, None]
    assert parse_answer('{"spans":[{"port":["Hull","8"]}]}').quotes[1].text == "8"


@given(spans, layouts)
def test_an_answer_can_be_closed_behind_every_quote(
    spans: list[dict[str, Any]], layout: dict[str, Any]
) -> None:
    answer = json.dumps({"spans": spans}, **layout)
    quotes = parse_answer(answer).quotes
    for number, quote in enumerate(quotes, start=1):
        closed = parse_answer(answer[: quote.value_end] + quote.closing)
        assert closed.fault is None
        assert closed.quotes == quotes[:number]


@given(st.text(max_size=60) | st.text('{}[]",8: spans\\u12d8', max_size=60))
def test_nothing_makes_it_raise(answer: str) -> None:
    parsed = parse_answer(answer)
    assert (parsed.fault is AnswerFault.EMPTY) is (not answer.strip())
    for quote in parsed.quotes:
        assert answer[quote.value_start - 1] == '"'


@given(spans.filter(len), st.sampled_from(["x", "}", ",", '{"spans": []}', "\n```"]))
def test_what_follows_an_answer_is_a_fault(spans: list[dict[str, Any]], tail: str) -> None:
    parsed = parse_answer(json.dumps({"spans": spans}) + tail)
    assert parsed.fault is AnswerFault.INVALID
    assert pairs(parsed.quotes) == members(spans)


def test_what_is_no_answer() -> None:
    for answer in ("null", "[]", "{}", '{"spans": null}', '{"spans": {}}', '"spans"', '{"x": []}', "Sure! {"):
        assert parse_answer(answer) == parse_answer("x")
    no_values = ("12", "null", "[]", '[["x"]]', '{"x": "y"}', "[12]", "x")
    for item in (*(f'{{"port": {value}}}' for value in no_values), '"port"', "{}", "[]", "12"):
        parsed = parse_answer(f'{{"spans": [{{"port": "Hull"}}, {item}]}}')
        assert pairs(parsed.quotes) == [("port", "Hull")]
        assert parsed.fault is AnswerFault.INVALID
    deep = '{"spans": [' + "[" * 100_000
    assert parse_answer(deep).fault is AnswerFault.INVALID


def test_a_list_that_turns_wrong_gives_what_was_complete() -> None:
    for rest in ("12]}]}", '"Kiel"}]}', '"Kiel" "Hull"]}]}', '"Kie'):
        parsed = parse_answer('{"spans":[{"port":["Hull",' + rest)
        assert parsed.fault is AnswerFault.INVALID
        assert pairs(parsed.quotes)[0] == ("port", "Hull")
        assert len(parsed.quotes) == (2 if "Kiel" in rest else 1)


def test_neighbours_of_one_label_share_a_list_and_nothing_else_moves() -> None:
    quotes = [("port", "Hull"), ("port", "Kiel"), ("flag", "Panama"), ("port", 'Ri"ga')]
    answer = write_answer(quotes)
    assert answer == '{"spans":[{"port":["Hull","Kiel"]},{"flag":"Panama"},{"port":"Ri\\"ga"}]}'
    assert write_answer([]) == '{"spans":[]}'


@given(st.lists(st.tuples(st.sampled_from(["port", "flag", 'od"d']), strings), max_size=8))
def test_what_is_written_is_read(quotes: list[tuple[str, str]]) -> None:
    parsed = parse_answer(write_answer(quotes))
    assert parsed.fault is None
    assert pairs(parsed.quotes) == quotes
    parsed = parse_answer(write_rated_answer(quotes))
    assert parsed.fault is None
    assert pairs(parsed.quotes) == quotes
    assert {quote.self_reported for quote in parsed.quotes} <= {EXAMPLE_DIGIT}


def test_half_a_pair_becomes_a_replacement_character() -> None:
    (quote,) = parse_answer(r'{"spans": [{"po\ud83drt": "a\ud83d b\ud83d\udea2"}]}').quotes
    assert (quote.label, quote.text) == ("po\ufffdrt", "a\ufffd b🚢")
    quote.text.encode("utf-8")


def test_a_raw_line_break_in_a_string_is_read() -> None:
    (quote,) = parse_answer('{"spans": [{"cargo": "soya\nbeans"}]}').quotes
    assert quote.text == "soya\nbeans"


def test_the_place_of_a_value_is_that_of_its_raw_characters() -> None:
    answer = r'{"spans": [{"port": "M\u00fcnchen \ud83d\udea2"}]}'
    (quote,) = parse_answer(answer).quotes
    assert quote.text == "München 🚢"
    assert answer[quote.value_start : quote.value_end] == r"M\u00fcnchen \ud83d\udea2"


fragments = st.lists(
    st.sampled_from(['{"spans":[', '{ "spans" : [', "]}", "] }\n", '{"port":"x"}', " ", "[", "x"])
)


@given(st.builds("".join, fragments) | spans.map(lambda each: json.dumps({"spans": each})) | st.text())
def test_an_answer_is_empty_where_it_is_whole_and_has_no_quote(answer: str) -> None:
    assert is_empty_answer(answer) is (parse_answer(answer) == ParsedAnswer((), None))


def test_an_empty_answer_may_have_blanks_in_it() -> None:
    assert is_empty_answer(write_answer([]))
    assert is_empty_answer('\n{ "spans": [\n\n] }\n')
    assert not is_empty_answer(write_answer([("port", "Hull")]))
    assert not is_empty_answer("")


LABELS = {"vessel_name", "port", "text"}


@pytest.mark.parametrize(
    ("answer", "readable", "fits"),
    [
        ('{"spans":[]}', [], True),
        ('{"spans":[{"port":"Hull"}]}', ["Hull"], True),
        ('{"spans":[{"port":["Hull","Kiel"]},{"harbour":"Oslo"}]}', ["Hull", "Kiel"], True),
        ('{"spans":[{"vessel_name":"A","port":"Hull"}]}', ["A", "Hull"], True),
        ('{"spans":[{"harbour":"Hull"}]}', [], False),
        ('{"spans":[{"label":"port","text":"Hull"}]}', [], False),
        ('{"spans":[{"port":"Hull","confidence":"high"}]}', [], False),
        ('{"spans":[{"type":"port","text":"Hull"},{"port":"Kiel"}]}', ["Kiel"], True),
        ('{"spans":[{"PORT":"Hull"}]}', [], False),
        ('{"spans":[{"port":["Hull",7]},{"harbour":["Oslo",3]}]}', ["Hull"], True),
    ],
)
def test_an_object_is_read_where_all_of_its_keys_are_labels(
    answer: str, readable: list[str], fits: bool
) -> None:
    quotes = parse_answer(answer).quotes
    assert [quote.text for quote in readable_quotes(quotes, LABELS)] == readable
    assert fits_labels(quotes, LABELS) is fits
