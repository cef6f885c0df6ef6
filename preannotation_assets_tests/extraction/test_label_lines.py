"""Mistakes planted into a scheme's file, line by line and at random."""

import re
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.labels import check_label_scheme, parse_label_scheme

# Where this word is found in an error, an example's text has leaked.
MARKER = "ZEBRAQUARTZ"
SOURCE = f"""\
# A comment, and blank lines.

name: vessels
version: 1
overlaps: false

labels:
  - name: vessel_name
    definition: >-
      The name of a ship,
      as printed.
    examples: [Hansa IV,
      Marie-Louise]
  - {{name: year, definition: A year., pattern: '\\d{{4}}'}}

examples:
  - text: |
      The {MARKER} STAR was built
      in 1974: {MARKER} yard, 1975.

      Nothing else: {MARKER}.
    spans:
      - vessel_name: {MARKER} STAR
      - year: 1974
      - {{year: "1975"}}
  - text: "{MARKER} nothing"
    spans: []
"""
LINES = SOURCE.splitlines()


def told(source: str) -> list[str]:
    errors = check_label_scheme(source, "s.yaml").errors
    assert all(isinstance(error, LabelSchemeError) for error in errors)
    return [str(error) for error in errors]


def with_line(number: int, line: str) -> str:
    return "\n".join([*LINES[: number - 1], line, *LINES[number:]]) + "\n"


def test_the_scheme_itself_is_valid() -> None:
    assert told(SOURCE) == []


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (3, "name: two words"),
        (4, "version: one"),
        (5, "overlaps: perhaps"),
        (5, "colour: red"),
        (8, "  - name: 'a:b'"),
        (11, "    color: red"),
        (13, "      [x]]"),
        (14, "  - {name: year, definition: A year., pattern: '('}"),
        (14, "  - {name: vessel_name, definition: A year., pattern: '.*'}"),
        (23, "      - vessel_name: STAR BOARD"),
        (24, "      - year: yard"),
        (24, "      - year: 1976"),
        (24, "      - yaer: 1974"),
        (24, "      - {year: 1974, vessel_name: STAR}"),
        (25, '      - {year: "in"}'),
        (25, "      - year: STAR"),
        (26, "  - texts: x"),
        (27, "    spans: none"),
        (27, "    span: []"),
        (27, "    spans: [{year: 1974}]"),
    ],
)
def test_a_planted_mistake_is_told_with_its_own_line(number: int, line: str) -> None:
    assert any(error.startswith(f"s.yaml:{number}: ") for error in told(with_line(number, line)))


@pytest.mark.parametrize("number", [3, 4, 5, 9, 17, 22])
def test_a_repeated_key_is_told_with_the_line_of_the_second(number: int) -> None:
    lines = SOURCE.splitlines()
    indent, key = re.match(r"( *)(?:- )?(\w+):", lines[number - 1]).group(1, 2)  # type: ignore[union-attr]
    indent += "  " * lines[number - 1].lstrip().startswith("- ")
    # After the last line of the mapping that the key is in.
    after = {"": len(lines), "    ": 13 if number < 15 else 25}[indent]
    source = "\n".join([*lines[:after], f"{indent}{key}: again", *lines[after:]])
    assert any(error.startswith(f"s.yaml:{after + 1}: {_place(number)}") for error in told(source))


def _place(number: int) -> str:
    return {9: "label 1, definition: a key", 17: "example 1, text: a key", 22: "example 1, spans: a key"}.get(
        number, f"{LINES[number - 1].split(':')[0]}: a key"
    )


def test_one_mistake_is_told_once() -> None:
    source = "name: x\nversion: 1\nlabels:\n- name: port\n  definition: d\n  color: red\n"
    assert [error.split(": ")[0] for error in told(source)] == ["s.yaml:6"]


def test_all_mistakes_are_told_in_the_order_of_the_lines() -> None:
    source = SOURCE.replace("version: 1", "version: x").replace("year: 1974", "year: 1999")
    source = source.replace("Hansa IV,", "[],").replace("{year:", "{yaer:")
    assert [int(error.split(":")[1]) for error in told(source)] == [4, 12, 24, 25]
    with pytest.raises(LabelSchemeError) as raised:
        parse_label_scheme(source, "s.yaml")
    assert str(raised.value) == told(source)[0]


mutations = st.lists(
    st.tuples(
        st.sampled_from(["remove", "repeat", "move", "indent", "dedent", "insert", "replace"]),
        st.integers(0, len(LINES) - 1),
        st.integers(0, len(LINES) - 1),
        st.text(st.sampled_from("ab1:- \t'\"[]{}#&*!|>%@`,?\\~<\n\0é🚢"), max_size=5),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150)
@given(mutations)
def test_a_mutilated_file_is_a_scheme_or_told_by_line_without_a_word_of_its_texts(
    changes: list[tuple[str, int, int, str]],
) -> None:
    lines = list(LINES)
    for kind, one, other, text in changes:
        at, to = one % max(1, len(lines)), other % max(1, len(lines))
        line = lines[at] if lines else ""
        changed = {
            "remove": [], "repeat": [line, line], "move": [lines[to] if lines else ""],
            "indent": ["  " + line], "dedent": [line[2:]], "insert": [line, text],
            "replace": [line[: to % (len(line) + 1)] + text + line[to % (len(line) + 1) :]],
        }[kind]  # fmt: skip
        lines[at : at + 1] = changed
    source = "\n".join(lines)
    for error in told(source):
        assert MARKER not in error
        found = re.match(r"s\.yaml:(\d+): \S", error)
        assert found is not None
        assert 1 <= int(found[1]) <= source.count("\n") + 2
        assert "\n" not in error


@given(st.text(max_size=80))
def test_any_text_is_no_scheme(source: str) -> None:
    assert told(source)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.text(st.sampled_from("x:-[]{}'\"\t\n &*"), min_size=1, max_size=3))
def test_a_stroke_of_the_keyboard_in_the_default_scheme(place: int, typed: str) -> None:
    source = (resources.files("preannotation_assets") / "label_schemes" / "vessels.yaml").read_text("utf-8")
    at = place % len(source)
    assert all(error.startswith("s.yaml:") for error in told(source[:at] + typed + source[at:]))


MARKED = f"  - text: {MARKER} 1974\n    spans:\n      - year: 1974\n"
EMPTY = f"  - text: {MARKER}\n    spans: []\n"
HEAD = "name: s\nversion: 1\nlabels:\n  - {name: year, definition: A year.}\n"


@pytest.mark.parametrize(
    ("examples", "line", "said"),
    [
        ("", 1, "the scheme has no example"),
        (f"examples:\n{EMPTY}{EMPTY}", 5, "every example is without marks"),
        (f"examples:\n{MARKED}{EMPTY}", 9, "example 2: an example without marks behind one with"),
        (f"examples:\n{EMPTY}{MARKED}", None, None),
        (f"examples:\n{MARKED}{EMPTY}{MARKED}", 9, "example 2: an example without marks behind"),
        (f"examples:\n{EMPTY}{EMPTY}{MARKED}", None, None),
        (f"examples:\n{MARKED}", None, None),
    ],
)
def test_examples_that_lead_to_empty_answers_are_a_warning_and_no_mistake(
    examples: str, line: int | None, said: str | None
) -> None:
    checked = check_label_scheme(HEAD + examples, "s.yaml")
    assert checked.scheme is not None
    assert checked.errors == ()
    assert len(checked.warnings) == (said is not None)
    for warning in checked.warnings:
        assert warning.startswith(f"s.yaml:{line}: warning: ")
        assert str(said) in warning
        assert MARKER not in warning


def test_the_scheme_of_the_package_has_no_warning() -> None:
    source = (resources.files("preannotation_assets") / "label_schemes" / "vessels.yaml").read_text("utf-8")
    assert check_label_scheme(source, "s.yaml").warnings == ()


def test_one_example_again_and_again_is_too_many_and_is_not_grounded_as_often() -> None:
    """Grounding each of 5,000 would outlast the test."""
    page = "ORION of Hull, built 1974. " * 400
    example = f"  - &one\n    text: {page}\n    spans: [{', '.join(['{vessel_name: ORION}'] * 200)}]\n"
    start, _, _ = SOURCE.partition("examples:\n  - text")
    errors = check_label_scheme(
        f"{start}examples:\n{example}{'  - *one' + chr(10)}" + "  - *one\n" * 5000, "s"
    ).errors
    assert any("a list of at most 100 examples" in str(error) for error in errors)
    assert not any("ORION" in str(error) for error in errors)


def test_a_slow_pattern_is_warned_of_with_its_line() -> None:
    source = SOURCE.replace(r"'\d{4}'", "'(q|qq)+$'")
    checked = check_label_scheme(source.replace("1974", "qqq").replace("1975", "qqqq"), "s.yaml")
    (line,) = [number for number, text in enumerate(source.splitlines(), 1) if "(q|qq)" in text]
    (said,) = [warning for warning in checked.warnings if "pattern" in warning]
    assert said.startswith(f"s.yaml:{line}: warning: label 2, pattern: takes too long on texts of its own")
