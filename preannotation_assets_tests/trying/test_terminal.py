import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from preannotation_assets.extraction.segments import Mark
from preannotation_assets.trying.terminal import (
    ColourView,
    Line,
    PlainView,
    console_for,
    fit,
    heading,
    padded,
    show,
    view_for,
)
from preannotation_assets.visible_text import visible

LABELS = ["vessel name", "port", "<evil>\x1b[2J", "日付"]
COLOURS = dict(zip(LABELS, ("#f5a3a3", "#a3f5bb", "#102030", "#d2a3f5"), strict=True))


class Screen(io.StringIO):
    """A terminal that only listens."""

    def isatty(self) -> bool:
        return True


ON_SCREEN = console_for(Screen(), {"TERM": "xterm-256color"})
IN_A_FILE = console_for(io.StringIO(), {})


def written(console: Console, line: Line) -> str:
    with console.capture() as captured:
        show(console, line)
    return captured.get()


def plain(text: str, marks: list[Mark]) -> str:
    return written(IN_A_FILE, PlainView().page(text, marks)).removesuffix("\n")


def coloured(text: str, marks: list[Mark], colours: dict[str, str] = COLOURS) -> str:
    return written(ON_SCREEN, ColourView(colours).page(text, marks)).removesuffix("\n")


OWN_CODE = re.compile(r"\x1b\[[0-9;]*m")
TAG = re.compile("\u2039[^\u203a]*\u203a")
NASTY = st.sampled_from("\x1b\x07\r\n\t\0\x9b\x7f\u202e\u2028\u200d\ud800船́[]:\u2039🇩")
TEXTS = st.text(st.one_of(st.characters(), NASTY), min_size=1, max_size=60)
LETTERS = st.text("ab \n", min_size=1, max_size=40)


@st.composite
def marked_texts(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS) -> tuple[str, list[Mark]]:
    text = draw(texts)
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(
        lambda two: two[0] != two[1]
    )
    marks = [
        Mark(min(place), max(place), draw(st.sampled_from(LABELS)))
        for place in draw(st.lists(places, max_size=6))
    ]
    return text, marks


def obeyed_by_a_terminal(shown: str) -> list[str]:
    return [
        character
        for character in shown
        if character != "\n" and unicodedata.category(character) in ("Cc", "Zl")
    ]


@given(marked_texts())
def test_no_page_makes_a_terminal_do_anything(marked: tuple[str, list[Mark]]) -> None:
    text, marks = marked
    assert obeyed_by_a_terminal(plain(text, marks)) == []
    shown = coloured(text, marks)
    assert obeyed_by_a_terminal(OWN_CODE.sub("", shown)) == []
    shown.encode("utf-8")


@given(marked_texts())
def test_a_page_in_colours_is_the_page_and_tags(marked: tuple[str, list[Mark]]) -> None:
    text, marks = marked
    shown = OWN_CODE.sub("", coloured(text, marks))
    ends = [(mark.end, visible(mark.label)) for mark in marks]
    for end, label in sorted(ends, reverse=True):
        tag = f"\u2039{label}\u203a"
        assert tag in shown
        shown = shown.replace(tag, "", 1) if "\u2039" not in text else shown
        assert 0 < end <= len(text)
    if "\u2039" not in text:
        assert shown == visible(text)


def painted(shown: str) -> list[bool]:
    """For every character of the page, without tags, whether it has a background."""
    flags: list[bool] = []
    on = False
    for part in re.split(
        r"(\x1b\[[0-9;]*m)", re.sub("\x1b\\[3;[^m]*m\u2039[^\u203a]*\u203a\x1b\\[0m", "", shown)
    ):
        if OWN_CODE.fullmatch(part):
            on = "48;5;" in part
        else:
            flags += [on] * len(part)
    return flags


@given(marked_texts(LETTERS))
def test_exactly_the_marked_characters_are_painted(marked: tuple[str, list[Mark]]) -> None:
    text, marks = marked
    flags = painted(coloured(text, marks))
    assert len(flags) == len(text)
    for index, flag in enumerate(flags):
        # A line's end is never painted: the terminal would paint the rest of the line.
        covered = any(mark.start <= index < mark.end for mark in marks)
        assert flag == (covered and text[index] != "\n")


@given(marked_texts(LETTERS))
def test_brackets_stand_where_marks_begin_and_end(marked: tuple[str, list[Mark]]) -> None:
    text, marks = marked
    shown = plain(text, marks)
    assert shown.count("[") - sum(visible(mark.label).count("[") for mark in marks) >= len(marks)
    without = shown
    for label in LABELS:
        without = without.replace(f"[{visible(label)}: ", "").replace(f"]{visible(label)} ", "")
    assert without.replace("]", "") == text


PLAIN = [
    ("M/V STAR", [Mark(4, 8, "port")], "M/V [port: STAR]"),
    ("abc", [Mark(0, 3, "port"), Mark(1, 2, "日付")], "[port: a[日付: b]c]"),
    ("abcd", [Mark(0, 3, "port"), Mark(1, 4, "日付")], "[port: a[日付: bc]port d]"),
    ("ab", [Mark(0, 1, "port"), Mark(1, 2, "port")], "[port: a][port: b]"),
    ("ab", [Mark(0, 2, "port"), Mark(0, 2, "日付")], "[port: [日付: ab]]"),
    ("🚢船", [Mark(1, 2, "port")], "🚢[port: 船]"),
    ("a\x1b[31mb", [Mark(1, 2, "port")], "a[port: ␛][31mb"),
]


@pytest.mark.parametrize(("text", "marks", "shown"), PLAIN)
def test_marks_in_brackets(text: str, marks: list[Mark], shown: str) -> None:
    assert plain(text, marks) == shown


def test_what_several_marks_cover_has_the_innermost_colour_and_a_line_below() -> None:
    marks = [Mark(0, 3, "outer"), Mark(1, 2, "inner")]
    shown = coloured("abc", marks, {"outer": "#ffd787", "inner": "#000087"})
    # 222 and 18 are these two of the 256 colours, 16 is black, 231 is white.
    inner = "\x1b[4;38;5;231;48;5;18mb\x1b[0m\x1b[3;38;5;18m‹inner›\x1b[0m"
    outer = "\x1b[38;5;16;48;5;222m"
    assert shown == f"{outer}a\x1b[0m{inner}{outer}c\x1b[0m\x1b[3;38;5;222m‹outer›\x1b[0m"


@pytest.mark.parametrize(
    ("environment", "stream", "view"),
    [
        ({}, Screen(), ColourView),
        ({"NO_COLOR": ""}, Screen(), ColourView),
        ({"NO_COLOR": "1"}, Screen(), PlainView),
        ({"TERM": "dumb"}, Screen(), PlainView),
        ({}, io.StringIO(), PlainView),
    ],
)
def test_colours_are_for_terminals_and_who_wants_them(
    environment: dict[str, str], stream: io.StringIO, view: type[ColourView | PlainView]
) -> None:
    console = console_for(stream, environment)
    assert isinstance(view_for(console, COLOURS), view)
    assert ("\x1b" in written(console, heading("page 1"))) == (view is ColourView)


@pytest.mark.parametrize("term", ["xterm", "xterm-256color", "linux", ""])
def test_labels_look_different_on_every_terminal(term: str) -> None:
    console = console_for(Screen(), {"TERM": term})
    shown = {written(console, ColourView(COLOURS).label(name)).split("m")[0] for name in LABELS}
    assert len(shown) == len(LABELS)


def test_a_line_is_as_long_as_it_is() -> None:
    """Wrapped or cut lines could not be searched, and offsets would be wrong."""
    line = "[bold]word[/bold] :smile: 12 " * 40
    assert written(IN_A_FILE, line) == f"{line}\n"
    assert OWN_CODE.sub("", written(ON_SCREEN, line)) == f"{line}\n"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30), st.integers(1, 20))
def test_a_text_is_cut_to_columns(text: str, width: int) -> None:
    cut = fit(text, width)
    assert cell_len(cut) <= width
    # Where a wide character would be cut in two, a space stands for its half.
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1].removesuffix(" ")))
    assert cell_len(text) > width or cut == text


def test_wide_characters_have_two_columns_and_combining_ones_none() -> None:
    assert fit("船船船", 5) == "船船…"
    assert fit("船abe\u0301", 5) == "船abe\u0301"
    assert padded("船abe\u0301", 8).plain == "船abe\u0301   "
    assert padded("船船船", 5).plain == "船船船"


def test_io_of_a_page_needs_no_more_than_utf_8() -> None:
    io.TextIOWrapper(io.BytesIO(), "utf-8").write(visible("\ud800"))
