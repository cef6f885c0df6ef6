"""Where on a page which letters are, held against reading the page letter by letter."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.grounding.lookalikes import BROKEN_LETTERS, CLOSE, LIGATURES
from preannotation_assets.extraction.grounding.page import Page, members
from preannotation_assets.extraction.grounding.reading import LOST_LETTER

# A loaded machine makes no test wrong.
unhurried = settings(deadline=None)

# Letters that break into others, those they break into, lost ones, some of other scripts, and what is none;
# 64 letters are one number of a set, so that pages have more than that too.
written = st.text("mrnilucdohbwvkyjfp1036\ufffdйз港 -\n", max_size=200)


@unhurried
@given(written, st.sampled_from("aeclmn1036sйз港"))
@example("", "a")
@example("l1\ufffdI|", "l")
@example("3з" * 40, "3")
def test_the_letters_of_a_page_are_where_they_stand(text: str, letter: str) -> None:
    page = Page(text)

    found = set(members(page.letter_sets.alike[letter]))

    alike = {letter, *CLOSE.get(letter, "")} | (set() if letter.isdigit() else {LOST_LETTER})
    assert found == {place for place, written in enumerate(page.letters) if written in alike}


@unhurried
@given(written, st.sampled_from([*BROKEN_LETTERS, *LIGATURES, "a", "ab", "1l"]))
@example("", "m")
@example("r" * 63 + "rn" + "r" * 62 + "rn", "m")
@example("a\ufffdc m", "rn")
def test_what_stands_for_letters_is_where_it_begins(text: str, group: str) -> None:
    page = Page(text)

    found = {
        (taken, place, width)
        for taken, places, width in page.letter_sets.stand_ins[group]
        for place in members(places)
    }

    others = set(BROKEN_LETTERS.get(group, ()))
    if group in LIGATURES or (len(group) > 1 and group.isalpha()):
        others.add(LOST_LETTER)
    assert found == {
        (len(group), place, len(other))
        for place in range(len(page.letters))
        for other in others
        if page.letters.startswith(other, place)
    }


@given(st.sets(st.integers(0, 300)))
def test_the_members_of_a_set_are_taken_from_it_in_order(places: set[int]) -> None:
    assert list(members(sum(1 << place for place in places))) == sorted(places)
