"""Text from outside, as it may be shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.visible_text import visible, visible_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "␛]0;title␇"), ("a\r\nb", "a␍\nb"), ("\t", "    "), ("\x7f\0", "␡␀"),
        ("\x9b31m", "<U+009B>31m"), ("\u202eabc", "<U+202E>abc"), ("\ud800", "<U+D800>"),
        ("👨‍👩‍👧 é 船", "👨‍👩‍👧 é 船"),
    ],
)  # fmt: skip
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_line_is_one_line_is_bounded_and_holds_nothing_that_is_obeyed(text: str, longest: int) -> None:
    line = visible_line(text, longest)
    assert len(line) <= longest
    assert line.splitlines() in ([line], [])
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cs", "Co", "Zl", "Zp"}
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068") & set(line)
    line.encode()


@pytest.mark.parametrize(
    ("text", "longest", "shown"),
    [
        ("0.33.0", 40, "0.33.0"),
        ("a\nb\x1b[2J", 40, "a\u240ab\u241b[2J"),
        ("x" * 41, 40, "x" * 39 + "\u2026"),
        ("x" * 40, 40, "x" * 40),
        ("\u202e" * 1_000_000, 10, "<U+202E><\u2026"),
    ],
)
def test_a_line_shows_what_it_hides_and_that_it_was_cut(text: str, longest: int, shown: str) -> None:
    assert visible_line(text, longest) == shown
