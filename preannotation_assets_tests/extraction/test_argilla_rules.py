import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.loader_recipe import text_to_show

from preannotation_assets.extraction.argilla_rules import agent_of, first_shift, is_agent


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", None),
        ("Müller & Söhne, 3 < 4 > 2, a\rb\nc, R&D, ﬁ e\u0301 שלום", None),
        ("a & b; &#; &; &zzz; <3 < b", None),
        ("M/V 🚢 Hull", 4),
        ("one\r\ntwo", 3),
        ("nul\0", 3),
        ("&amp;", 0),
        ("R&D &amp;", 4),
        ("&zzz &lt", 5),
        ("&copyright", 0),
        ("&#8211;", 0),
        ("&#x41", 0),
        ("a <b>c</b>", 2),
        ("x </p>", 2),
        ("<!-- -->", 0),
        ("<?xml", 0),
    ],
)
def test_the_place_after_which_marks_are_shifted(text: str, place: int | None) -> None:
    assert first_shift(text) == place


pieces = st.sampled_from(
    ["&", "amp", ";", "#", "x", "4", "lt", "<", "b", "/", "\r", "\n", "\0", "🚢", "𝐚", "é", " "]
)


@given(st.lists(pieces).map("".join))
def test_what_has_no_such_place_is_of_the_same_length_as_html_and_in_utf_16(text: str) -> None:
    place = first_shift(text)
    before = text if place is None else text[:place]
    assert first_shift(before) is None
    assert html.unescape(before) == before
    assert len(before.encode("utf-16-le")) == 2 * len(before)
    assert not {"\r\n", "\0", "<b", "</"} & {
        before[at : at + size] for at in range(len(before)) for size in (1, 2)
    }


@pytest.mark.parametrize("agent", ["llama3.3:70b/sha256:ab/spans-1", "hf.co/a_b/c-d:Q4_K_M/v", "x", "/1"])
def test_agents_that_are_taken(agent: str) -> None:
    assert is_agent(agent)


@pytest.mark.parametrize(
    "agent", ["", "/", "-:", "a@b", "a+b", "(a)", "a=b", "modèle", "a\nb", "a" * 201, "٣"]
)
def test_agents_that_are_refused(agent: str) -> None:
    assert not is_agent(agent)


def test_the_agent_is_model_and_version() -> None:
    assert agent_of("llama3.3:70b", "sha256:ab/spans-1") == "llama3.3:70b/sha256:ab/spans-1"


@given(st.lists(pieces).map("".join))
def test_the_loaders_recipe_shows_a_text_of_the_same_length_without_such_a_place(text: str) -> None:
    shown = text_to_show(text)
    assert len(shown) == len(text)
    assert first_shift(shown) is None
    assert (shown == text) == (first_shift(text) is None)
    assert text_to_show(shown) == shown
