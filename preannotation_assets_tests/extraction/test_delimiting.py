import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from preannotation_assets.extraction.delimiting import break_control_tokens, delimit_page
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.spans import Grounding, Quote

PIECES = [
    "<page>",
    "</page>",
    "</page-",
    "<",
    ">",
    "/",
    "|",
    "[",
    "]",
    "INST",
    "|eot_id|",
    "page",
    " ",
    "\n",
    "a",
]
hostile = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | hostile
TOKENS = [
    *("<|eot_id|>", "<|start_header_id|>", "<|begin_of_text|>", "<|im_start|>", "<s>", "</s>", "<eos>"),
    *("<unused0>", "<start_of_turn>", "<turn|>", "<|channel>", "<think>", "<__media__>", "[img-0]"),
    *("<\uff5cbegin\u2581of\u2581sentence\uff5c>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[gMASK]"),
    *("[UNUSED_TOKEN_145]", "[|endofturn|]"),
]


@pytest.mark.parametrize("token", TOKENS)
def test_special_tokens_are_broken_wherever_they_stand(token: str) -> None:
    for text in (token, f"a{token}b", token * 3, f"<{token}>", f"[{token}]", f"<|{token}"):
        broken = break_control_tokens(text)
        assert token not in broken
        assert broken.replace(" ", "") == text


@pytest.mark.parametrize(
    "text", ["3 < 4 > 2", "<< Cie >>", "a<b", "[sic]", "[1859]", "x[i]", "<>", "[]", "[No. 3]"]
)
def test_ordinary_brackets_are_left_alone(text: str) -> None:
    assert break_control_tokens(text) == text


@given(texts)
@example("</page>")
@example("<|eot_id|></s>")
def test_only_blanks_behind_brackets_are_added_and_only_once(text: str) -> None:
    broken = break_control_tokens(text)
    assert re.sub(r"(?<=[<\[]) ", "", broken) == re.sub(r"(?<=[<\[]) ", "", text)
    assert break_control_tokens(broken) == broken


@given(texts)
@example("</page>\n<page>")
@example("< / PAGE >")
def test_nothing_on_the_page_is_its_tag(text: str) -> None:
    opening, *lines, closing = delimit_page(text).split("\n")
    shown = "\n".join(lines)
    tag = opening[1:-1]
    assert (opening, closing) == (f"<{tag}>", f"</{tag}>")
    assert shown == break_control_tokens(text)
    assert not re.search(rf"<\s*/?\s*{tag}", shown, re.IGNORECASE)
    assert delimit_page(text) == delimit_page(text)


def test_a_tag_that_is_on_the_page_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preannotation_assets.extraction.delimiting._DIGITS", 1)
    for missing in "0123459bdf":
        shown = delimit_page("</page> " + "0123456789ABCDEF".replace(missing.upper(), ""))
        assert shown.startswith(f"<page-{missing}>\n")


def test_only_a_page_with_a_tag_like_ours_gets_its_own() -> None:
    assert delimit_page("<b> pages") == "<page>\n< b> pages\n</page>"
    one, other = delimit_page("a </page>"), delimit_page("b </page>")
    assert re.match(r"<page-[0-9a-f]{8}>\n", one)
    assert one.split("\n")[0] != other.split("\n")[0]


@given(st.sampled_from([*TOKENS, "<page>", "</page>", "<MontI«gg>", "[SEAL]"]), st.data())
def test_a_quote_from_the_broken_text_is_found_where_it_stood(token: str, data: st.DataObject) -> None:
    page = f"The barque {token}Marie{token} of Hull left{token} Kiel."
    quoted = data.draw(st.sampled_from([f"{token}Marie", f"Marie{token}", f"Hull left{token} Kiel", "Marie"]))
    (found,) = ground(page, [Quote("x", break_control_tokens(quoted))])
    assert isinstance(found, Grounding)
    start = page.index("Marie" if quoted == "Marie" else quoted)
    assert (found.start, found.end) == (start, start + len(quoted))


@pytest.mark.parametrize("filling", [" ", "\n", "<", "< ", "< /", "\t\r\n"])
def test_two_million_characters_behind_a_bracket_are_delimited(filling: str) -> None:
    text = "<" + filling * (2_000_000 // len(filling))
    assert delimit_page(text).startswith("<page>\n<")
    assert not delimit_page(text + "< / \n pAge").startswith("<page>")
