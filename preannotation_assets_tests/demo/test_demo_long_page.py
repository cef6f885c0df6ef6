"""The generated page is long, varied, noisy and always the same."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.demo.long_page import imo_number, long_page_text

TEXT = long_page_text()
ENTRIES = [line for line in TEXT.splitlines() if re.match(r"[\dlO]+ ", line)]


def test_it_is_far_over_the_token_limit() -> None:
    assert 60_000 < len(TEXT) < 90_000


def test_it_never_changes() -> None:
    assert long_page_text() == TEXT
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    assert digest == "74ea32759f0c599ecb0404d8841f46bce04a2ac1f62a680a5da408079072c465", (
        "another text: chunks and answers of the demo batch are asked again"
    )


def test_every_entry_differs_from_every_other_in_more_than_its_number() -> None:
    bodies = [re.sub(r"^\S+ +", "", entry) for entry in ENTRIES]
    assert len(bodies) == len(set(bodies)) == 620
    names = [re.split(r" {2,}", body)[0].casefold() for body in bodies]
    assert len(set(names)) > 610


def test_a_part_of_the_entries_is_misread() -> None:
    misread = [entry for entry in ENTRIES if re.search(r"[a-z]1|1[a-z]|\d[lO]|[lO]\d", entry)]
    assert 20 < len(misread) < 310


def test_no_port_ships_to_itself() -> None:
    voyages = re.findall(r"fertiliser, (\w+) to (\w+)", TEXT)
    assert len(voyages) > 3
    assert all(start != end for start, end in voyages)


@pytest.mark.parametrize("number", ["9074729", "9319466", "8814275"])
def test_check_digits_are_those_of_published_numbers(number: str) -> None:
    assert imo_number(int(number[:6])) == number


@given(st.integers(0, 999_999))
def test_an_imo_number_has_seven_digits_and_starts_with_its_stem(stem: int) -> None:
    assert re.fullmatch(r"\d{7}", imo_number(stem))
    assert int(imo_number(stem)[:6]) == stem
