"""What an expert sees: records that the recipe has loaded, in Argilla's own web page.

Argilla's server is a real one, over HTTP, with OpenSearch for its search engine; only the job queue is a
stub. The browser tells which words are marked.
"""

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from argilla_folders import write_hostile, write_loads
from argilla_serving import Argilla, ShownRecord, free_port, serve_argilla
from hostile_pages import DATASET, HANSA, HOSTILE_PAGES, HULL, SHIFTED, HostilePage
from open_search import serve_open_search
from playwright.sync_api import Browser, Page
from published_demo import DEMO
from seen_records import Mark, SeenRecord, mark_words, open_record, see_all, signed_in
from shared.chromium import open_chromium
from shared.loader_recipe import text_to_show

from preannotation_assets.defs.resources.java import find_java_home
from preannotation_assets.extraction.argilla_rules import first_shift
from preannotation_assets.extraction.labels import LabelScheme

pytestmark = pytest.mark.argilla_page

JARS = Path(__file__).parents[2] / ".opensearch" / "jars"
_MUCH_ALIKE = ("twice", "a:1", "many", "odd")
# A page that a web page would obey.
OBEYED = HostilePage(
    "obeyed", '<img src="x" onerror="window.obeyed = true">M/V HANSA left Hull', [HANSA, HULL]
)
PAGES = [page for page in HOSTILE_PAGES if not page.name.startswith(_MUCH_ALIKE)] + [OBEYED]

Seen = Mapping[str, SeenRecord]


@pytest.fixture(scope="session")
def open_search_jars() -> Path:
    """Of the scope of ``spark``, so that none is started where the tests are skipped."""
    if not any(JARS.glob("opensearch-*.jar")):
        pytest.skip("there is no .opensearch with the search engine of Argilla: make set-up-opensearch")
    return JARS


@pytest.fixture(scope="module")
def folder(
    open_search_jars: Path,
    demo_lake: Path,
    scheme: LabelScheme,
    exported_labels: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What argilla_server_process.py reads."""
    folder = tmp_path_factory.mktemp("argilla-page")
    write_hostile(folder, PAGES, scheme, exported_labels)
    steps = [
        ("shown", "hostile", False),
        ("raw", "hostile", True),
        (DEMO, "demo", False),
        ("demo_raw", "demo", True),
        ("righted", "hostile", True),
        ("righted", "hostile", False),
        ("again", "first", False),
        ("again", "second", False),
    ]
    loads = [{"dataset": dataset, "folder": part, "as_it_is": raw} for dataset, part, raw in steps]
    write_loads(folder, demo_lake, loads)
    return folder


@pytest.fixture(scope="module")
def argilla(argilla_python: Path, open_search_jars: Path, folder: Path) -> Iterator[Argilla]:
    java = Path(find_java_home(os.environ)) / "bin" / "java"
    # Argilla's server waits for its search engine.
    with (
        serve_open_search(open_search_jars, java, folder, free_port()) as search_engine,
        serve_argilla(argilla_python, folder, search_engine) as argilla,
    ):
        yield argilla


@pytest.fixture(scope="module")
def browser(argilla: Argilla) -> Iterator[Browser]:
    """Started last, as nobody can call ``asyncio.run`` while it runs. It reaches nothing but this machine."""
    with open_chromium("MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") as chromium:
        yield chromium


@pytest.fixture(scope="module")
def window(browser: Browser, argilla: Argilla, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with signed_in(browser, argilla, tmp_path_factory.mktemp("argilla-window")) as window:
        yield window


@pytest.fixture(scope="module")
def shown(window: Page, argilla: Argilla) -> Seen:
    """All pages, loaded by the recipe."""
    return see_all(window, argilla, "shown")


@pytest.fixture(scope="module")
def raw(window: Page, argilla: Argilla) -> Seen:
    """All pages, loaded without what the recipe does to their texts."""
    return see_all(window, argilla, "raw")


@pytest.fixture(scope="module")
def published(folder: Path) -> Mapping[str, list[Mark]]:
    """What was published of each page, with the words as they are."""
    marks: dict[str, list[Mark]] = {_name(page.name): [] for page in PAGES}
    for row in pq.read_table(folder / "hostile" / "suggestions.parquet").to_pylist():
        mark = Mark(row["start"], row["end"], row["label"], row["text"])
        marks[f"{row['doc_id']}:{row['page_num']}"].append(mark)
    return marks


def _name(page: str) -> str:
    return f"{DATASET}/{page}:1"


def _record(argilla: Argilla, dataset: str, name: str) -> ShownRecord:
    return next(record for record in argilla.records(dataset) if record.name == name)


def test_every_mark_stands_on_the_published_words(shown: Seen, published: Mapping[str, list[Mark]]) -> None:
    assert shown.keys() == published.keys()
    for page in PAGES:
        name = _name(page.name)
        expected = [
            Mark(mark.start, mark.end, mark.label, text_to_show(page.text)[mark.start : mark.end])
            for mark in published[name]
        ]
        assert list(shown[name].marks) == sorted(expected), page.name
        assert sorted(shown[name].badges) == sorted(mark.label for mark in expected)
        assert shown[name].suggested == len(expected)
        if first_shift(page.text) is None:
            assert list(shown[name].marks) == sorted(published[name]), page.name
    assert sum(len(seen.marks) for seen in shown.values()) > 70


def test_a_page_is_shown_as_it_is_but_for_what_the_browser_counts_otherwise(shown: Seen) -> None:
    for page in PAGES:
        seen = shown[_name(page.name)].text
        if page.text == "":
            assert seen is None
            continue
        assert seen is not None
        # A browser makes a line feed of a lone carriage return.
        assert seen == text_to_show(page.text).replace("\r", "\n")
        assert len(seen) == len(page.text)


def test_the_empty_list_and_the_failed_page_show_their_text_without_marks(shown: Seen) -> None:
    without = SeenRecord("Nothing here.", (), (), 0, ())
    failed = SeenRecord("HANSA left Hull", (), (), 0, ())
    assert shown[_name("nothing")] == without
    assert shown[_name("failed")] == failed


def test_a_second_load_clears_what_vanished_and_keeps_what_failed(window: Page, argilla: Argilla) -> None:
    seen = {
        name.removesuffix(":1"): [mark.words for mark in record.marks]
        for name, record in see_all(window, argilla, "again").items()
    }
    assert seen["moved"] == ["Kiel"]
    assert seen["vanished"] == []
    assert seen["failed"] == ["Hull"]
    assert seen["changed"] == []
    assert seen["grown"] == ["Bremen"]


def test_without_the_recipe_marks_are_shifted_where_verify_says(
    raw: Seen, published: Mapping[str, list[Mark]]
) -> None:
    def words(page: str) -> list[str]:
        return [mark.words for mark in raw[_name(page)].marks]

    wrong = {
        page.name
        for page in PAGES
        if list(raw[_name(page.name)].marks) != sorted(published[_name(page.name)])
    }
    assert wrong == SHIFTED | {"obeyed"}
    assert words("emoji")[:2] == [" HANS", "t Hu"]
    assert words("crlf") == ["HANSA\nIV ", "l\n"]
    assert words("nul") == ["ANSAIV l", "l"]
    # The first mark that lies outside of the text takes all others with it.
    assert words("tags") == []


def test_the_next_load_puts_records_right_that_were_loaded_as_they_are(argilla: Argilla) -> None:
    assert argilla.contents("righted") == argilla.contents("shown")
    assert argilla.contents("righted") != argilla.contents("raw")


def test_a_tag_on_a_page_is_obeyed_unless_the_recipe_loads_it(window: Page, argilla: Argilla) -> None:
    name = _name("obeyed")
    for dataset, is_obeyed in (("shown", False), ("raw", True)):
        open_record(window, argilla, dataset, _record(argilla, dataset, name))
        if is_obeyed:
            window.wait_for_function("() => window.obeyed")
        assert window.evaluate("() => Boolean(window.obeyed)") is is_obeyed


def test_an_experts_own_mark_comes_back_with_the_offsets_of_the_page(window: Page, argilla: Argilla) -> None:
    page = next(page for page in PAGES if page.name == "emoji")
    name = _name(page.name)
    cut, labels = {}, {}
    for dataset in ("shown", "raw"):
        record = _record(argilla, dataset, name)
        open_record(window, argilla, dataset, record)
        mark_words(window, record, "left", "date")
        spans = argilla.answer(dataset, name)
        cut[dataset] = [page.text[span["start"] : span["end"]] for span in spans if span["label"] == "date"]
        labels[dataset] = sorted(span["label"] for span in spans)
    assert cut == {"shown": ["left"], "raw": ["ft H"]}
    # The shifted mark of the port lay over the word.
    assert labels == {"shown": ["date", "port", "vessel_name"], "raw": ["date", "vessel_name"]}


def test_scores_are_stored_and_sorted_by_but_not_shown(shown: Seen, argilla: Argilla, folder: Path) -> None:
    rows = pq.read_table(folder / "hostile" / "suggestions.parquet").to_pylist()
    assert any(row["confidence"] is not None for row in rows)
    # Argilla 2.8.0 looks for the score inside the span, where it is not.
    assert {seen.scores for seen in shown.values()} == {()}
    lowest = argilla.lowest_scores(DEMO)
    assert len(lowest) > 20
    assert lowest == sorted(lowest)
    assert lowest[0] < lowest[-1]


def test_the_demo_is_seen_as_it_was_published(
    window: Page, argilla: Argilla, folder: Path, tmp_path: Path
) -> None:
    """Leaves the pictures of docs/argilla-loader.md in its folder."""
    rows = pq.read_table(folder / "demo" / "suggestions.parquet").to_pylist()
    pages = pq.read_table(folder / "demo" / "pages.parquet").to_pylist()
    # With emoji, with CR LF, with a character reference, with none of them.
    for part in ("agent_message_0001", "telex_0001", "web_notice_0001", "certificate_of_registry_0001"):
        doc_id = f"{DEMO}/{part}"
        text = next(page["text"] for page in pages if (page["doc_id"], page["page_num"]) == (doc_id, 1))
        expected = [
            Mark(row["start"], row["end"], row["label"], text_to_show(text)[row["start"] : row["end"]])
            for row in rows
            if (row["doc_id"], row["page_num"]) == (doc_id, 1)
        ]
        for dataset, is_right in ((DEMO, True), ("demo_raw", first_shift(text) is None)):
            seen = open_record(window, argilla, dataset, _record(argilla, dataset, f"{doc_id}:1"))
            assert (list(seen.marks) == sorted(expected)) == is_right, (dataset, part)
            window.screenshot(path=tmp_path / f"{dataset}-{part}.png")


PIECES = [
    *("&", "amp", "lt", "copy", "zzz", ";", "#", "x", "X", "4", "1F6A2", "0"),
    *("<", ">", "b", "/", "!", "--", "?", "=", '"', " ", "\r", "\n", "\0", "\t", "\f"),
    *("🚢", "𝕳", "𝐚", "\U000e0001", "é", "a\u0308", "\ufffd", "\ufeff", "\u2028", "\ue000", "ß"),
]


def test_a_browser_counts_any_text_as_the_recipe_shows_it(window: Page) -> None:
    choose = random.Random(1)
    # What stands at the very end may be unfinished; no mark stands behind it.
    texts = ["".join(choose.choices(PIECES, k=choose.randrange(1, 12))) + "." for _ in range(3000)]
    # As Argilla puts a text into its page.
    parse = """texts => texts.map(text => {
        const field = document.createElement('p');
        field.innerHTML = text;
        return [field.childNodes.length, field.textContent];
    })"""
    parsed = window.evaluate(parse, [text_to_show(text) for text in texts])
    as_they_are = window.evaluate(parse, texts)
    for text, shown, raw in zip(texts, parsed, as_they_are, strict=True):
        assert shown == [1, text_to_show(text).replace("\r", "\n")], ascii(text)
        assert len(shown[1]) == len(text)
        is_parsed_alike = raw == [1, text.replace("\r", "\n")]
        is_counted_alike = len(raw[1].encode("utf-16-le")) == 2 * len(text)
        assert (is_parsed_alike and is_counted_alike) == (first_shift(text) is None), ascii(text)
    assert 500 < sum(first_shift(text) is None for text in texts) < 2500
