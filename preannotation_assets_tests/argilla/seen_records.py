"""What an expert sees of a record in Argilla's web page, read from the page itself."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from argilla_serving import Argilla, ShownRecord
from playwright.sync_api import Browser, Page, expect
from shared.chromium import WAIT_MILLISECONDS

__all__ = ["Mark", "SeenRecord", "mark_words", "open_record", "see_all", "signed_in"]

# Argilla marks with the browser's custom highlights: ranges of the text, by a name that has the label in it.
_LOOK: Final = """id => {
    const field = document.querySelector(`p[id$='${id}']`);
    const marks = [...CSS.highlights.entries()].flatMap(([name, ranges]) => [...ranges].map(
        range => [name, range.startOffset, range.endOffset, range.toString()]));
    const texts = selector => [...document.querySelectorAll(selector)].map(found => found.textContent);
    return {
        text: field === null ? null : field.textContent,
        marks,
        badges: texts('.span-entity__text'),
        suggested: document.querySelectorAll('[class*=span-entity__suggestion]').length,
        scores: texts('.span-entity__score'),
    };
}"""
_PLACE: Final = """([id, words]) => {
    const text = document.querySelector(`p[id$='${id}']`).firstChild;
    const range = new Range();
    range.setStart(text, text.data.indexOf(words));
    range.setEnd(text, text.data.indexOf(words) + words.length);
    const place = range.getBoundingClientRect();
    return [place.left, place.right, (place.top + place.bottom) / 2];
}"""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A highlighted range of the text, in UTF-16 units of what the browser shows."""

    start: int
    end: int
    label: str
    words: str


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """A record in the web page; ``text`` is None where no text is shown at all.

    ``badges`` are the labels below the marks; ``suggested`` is how many have the sign of a suggestion.
    """

    text: str | None
    marks: tuple[Mark, ...]
    badges: tuple[str, ...]
    suggested: int
    scores: tuple[str, ...]


@contextmanager
def signed_in(browser: Browser, argilla: Argilla, folder: Path) -> Iterator[Page]:
    """A window of an expert who has come through the page for signing in; its last look is in ``folder``."""
    window = browser.new_page(viewport={"width": 1200, "height": 640})
    window.set_default_timeout(WAIT_MILLISECONDS)
    try:
        window.goto(f"{argilla.url}/sign-in")
        window.locator("input[name=Username]").fill(argilla.user)
        window.locator("input[name=Password]").fill(argilla.password)
        window.get_by_role("button", name="Sign in").click()
        expect(window.get_by_role("heading", name="Your datasets")).to_be_visible()
        yield window
    finally:
        window.screenshot(path=folder / "last.png")
        window.close()


def open_record(window: Page, argilla: Argilla, dataset: str, record: ShownRecord) -> SeenRecord:
    """Opens the dataset at a record."""
    place = f"/dataset/{argilla.datasets[dataset]}/annotation-mode?page={record.number}&status=pending"
    window.goto(argilla.url + place)
    return _look(window, record)


def see_all(window: Page, argilla: Argilla, dataset: str) -> Mapping[str, SeenRecord]:
    """Goes through a dataset from its first record to its last, by the button; what is seen, by name."""
    records = argilla.records(dataset)
    seen = {records[0].name: open_record(window, argilla, dataset, records[0])}
    for record in records[1:]:
        window.get_by_role("button", name="Next").click()
        seen[record.name] = _look(window, record)
    return seen


def _look(window: Page, record: ShownRecord) -> SeenRecord:
    expect(window.get_by_label("Current Record")).to_have_text(str(record.number))
    if record.text:
        expect(window.locator(f"p[id$='{record.record_id}']")).to_be_attached()
    found = window.evaluate(_LOOK, record.record_id)
    marks = [Mark(start, end, _label(name), words) for name, start, end, words in found["marks"]]
    badges = tuple(label.strip() for label in found["badges"])
    return SeenRecord(found["text"], tuple(sorted(marks)), badges, found["suggested"], tuple(found["scores"]))


def _label(name: str) -> str:
    """The label in a highlight's name: `hl-spans-2dvessel-5fname` is vessel_name of the question spans."""
    decoded = re.sub(r"-([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), name.removeprefix("hl-"))
    return decoded.removeprefix("spans-")


def mark_words(window: Page, record: ShownRecord, words: str, label: str) -> None:
    """Marks words with the mouse, as an expert does, and submits the record."""
    window.locator("label").filter(has_text=label).first.click()
    left, right, middle = window.evaluate(_PLACE, [record.record_id, words])
    window.mouse.move(left + 1, middle)
    window.mouse.down()
    window.mouse.move(right - 1, middle, steps=4)
    window.mouse.up()
    with window.expect_response(lambda reply: reply.request.method == "POST" and "/responses" in reply.url):
        window.get_by_role("button", name="Submit").click()
