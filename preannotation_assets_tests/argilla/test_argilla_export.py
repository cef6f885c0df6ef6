"""What experts answer in Argilla comes out on the characters that they meant.

The server lives in an environment of its own, as in test_argilla_acceptance.py. The test of what a browser
makes of a text needs Chromium.
"""

import importlib.util
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from argilla_folders import run_program, write_hostile
from hostile_pages import DATASET, HOSTILE_PAGES
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.contracts import RESPONSES
from preannotation_assets.extraction.argilla_rules import first_shift
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.publishing.evaluation import EvaluationRules, evaluate_dataset
from preannotation_assets.publishing.evaluation.responses import lake_responses, responses_by_page

REPOSITORY = Path(__file__).parents[2]
EXPORT = REPOSITORY / "docs" / "argilla-export.md"
CHROMIUM = Path("/usr/bin/chromium")
# What the pages have and the demo's scheme allows to be drawn there.
DRAWN = ("HANSA", "Hull", "Kiel", "left")

Row = dict[str, Any]
Span = tuple[int, int, str]


def export_source() -> str:
    """All code of the recipe."""
    return "".join(re.findall(r"```python\n(.*?)```", EXPORT.read_text("utf-8"), re.DOTALL))


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    path = tmp_path_factory.mktemp("recipe") / "export_recipe.py"
    path.write_text(export_source(), "utf-8")
    spec = importlib.util.spec_from_file_location("export_recipe", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parsed(text: str) -> str:
    """What a browser makes of a text without markup and character references."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def in_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


# Nothing with & or <, whose parsing is the browser's to tell.
TEXTS = st.text(
    st.one_of(
        st.sampled_from("\r\n\0🚢𝕳é a"), st.characters(exclude_categories=["Cs"], exclude_characters="&<")
    )
)


@given(TEXTS, st.data())
def test_a_span_that_is_drawn_is_placed_on_its_characters(
    recipe: ModuleType, text: str, data: st.DataObject
) -> None:
    places = [
        index for index, each in enumerate(text) if parsed(each) and text[index - 1 : index + 1] != "\r\n"
    ]
    if not places:
        return
    start = data.draw(st.sampled_from(places))
    end = data.draw(st.sampled_from([place for place in places if place >= start])) + 1
    if text[end - 1 : end + 1] == "\r\n":
        end += 1
    drawn = {
        "start": in_units(parsed(text[:start])),
        "end": in_units(parsed(text[:end])),
        "label": "port",
    }
    assert recipe.in_code_points(text, drawn, set()) == {"start": start, "end": end, "label": "port"}


def test_what_was_suggested_and_left_there_keeps_its_numbers(recipe: ModuleType) -> None:
    text = "🚢🚢 HANSA left\r\n\r\n\r\nHull"
    hull = {"start": text.index("Hull"), "end": len(text), "label": "port"}
    assert recipe.in_code_points(text, hull, {(hull["start"], hull["end"])}) == hull
    # The page's own text is shorter than its offsets: it shortens what it loads.
    shorter = hull | {"end": in_units(parsed(text))}
    assert recipe.in_code_points(text, shorter, {(hull["start"], hull["end"])}) == hull


def test_where_nothing_says_what_was_meant_nothing_is_made_up(recipe: ModuleType) -> None:
    with pytest.raises(recipe.CannotBePlacedError):
        recipe.in_code_points("<b>HANSA</b>", {"start": 0, "end": 5, "label": "port"}, set())
    with pytest.raises(recipe.CannotBePlacedError):
        recipe.in_code_points("HANSA", {"start": 0, "end": 6, "label": "port"}, set())


@pytest.mark.browser
def test_units_are_those_of_a_browser(recipe: ModuleType) -> None:
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium")
    from playwright.sync_api import sync_playwright

    references = (
        "R&amp;D &lt; &#8211; &#x80; &nbsp &notit; &ampx &#0; &#1; &no; &semi; &AMP &#xD800; &; & &#;"
    )
    texts = [page.text for page in HOSTILE_PAGES if page.name != "long"] + [references, "a < b <3 <- <é 1<2"]
    script = """texts => texts.map((text) => {
        const element = document.createElement("p");
        element.innerHTML = text;
        return [element.childNodes.length, element.textContent];
    })"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        shown = browser.new_page().evaluate(script, texts)
        browser.close()
    for text, (nodes, content) in zip(texts, shown, strict=True):
        units = recipe.units_of(text)
        if units is None:
            assert first_shift(text) is not None
            continue
        assert nodes <= 1
        assert len(units[0]) == len(units[1]) == in_units(content)
    assert 1 <= sum(recipe.units_of(text) is None for text in texts) < 5


@dataclass(frozen=True)
class Exported:
    """What was answered, as code points, and what came out."""

    responses: Path
    lake: Path
    is_raw: bool
    meant: dict[tuple[str, str], list[Span]]
    texts: dict[str, str]
    rows: dict[tuple[str, str], Row]
    unplaced: set[tuple[str, str]]


@pytest.fixture(scope="module")
def folder(
    scheme: LabelScheme, exported_labels: str, argilla_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Both round trips, made in one process of Argilla's environment."""
    folder = tmp_path_factory.mktemp("export")
    write_hostile(folder, HOSTILE_PAGES, scheme, exported_labels)
    (folder / "export_recipe.py").write_text(export_source(), "utf-8")
    answers = {name: planned(folder / "hostile", name == "raw")[1] for name in ("shown", "raw")}
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")
    run_program(argilla_python, "export_acceptance.py", folder)
    return folder


@pytest.fixture(scope="module", params=["shown", "raw"])
def round_trip(request: pytest.FixtureRequest, folder: Path) -> Exported:
    texts, _, meant = planned(folder / "hostile", request.param == "raw")
    responses = folder / f"{request.param}.parquet"
    table = pq.read_table(responses)
    assert table.schema.equals(RESPONSES)
    rows = {(f"{row['doc_id']}:{row['page_num']}", row["annotator"]): row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    unplaced = json.loads((folder / "unplaced.json").read_text("utf-8"))[request.param]
    return Exported(
        responses, folder / "lake", request.param == "raw", meant, texts, rows,
        {(record, expert) for record, expert in unplaced},
    )  # fmt: skip


def planned(
    published: Path, is_raw: bool
) -> tuple[dict[str, str], list[Row], dict[tuple[str, str], list[Span]]]:
    """What two experts send about each page, and which characters they mean.

    Ada keeps every suggestion, relabelling the first. Bob deletes them all and draws words, in units
    where the text is as it is.
    """
    texts = {
        f"{row['doc_id']}:{row['page_num']}": row["text"]
        for row in pq.read_table(published / "pages.parquet").to_pylist()
    }
    suggested: dict[str, list[Span]] = {name: [] for name in texts}
    for row in pq.read_table(published / "suggestions.parquet").to_pylist():
        suggested[f"{row['doc_id']}:{row['page_num']}"].append((row["start"], row["end"], row["label"]))
    answers: list[Row] = []
    meant: dict[tuple[str, str], list[Span]] = {}
    for name, text in texts.items():
        kept = suggested[name][:50]
        kept = [(*span[:2], "builder" if not number else span[2]) for number, span in enumerate(kept)]
        answers.append(an_answer(name, "ada", kept))
        meant[name, "ada"] = kept
        drawn = drawn_words(text, {span[:2] for span in suggested[name]}, is_raw)
        answers.append(an_answer(name, "bob", [unit for _, unit in drawn]))
        meant[name, "bob"] = [place for place, _ in drawn]
    return texts, answers, meant


def drawn_words(text: str, suggested: set[tuple[int, int]], is_raw: bool) -> list[tuple[Span, Span]]:
    """Some words in code points and in units, of what the server takes."""
    found = []
    for word in DRAWN:
        place = re.search(rf"{word}", text)
        if place is None:
            continue
        start, end = place.span()
        units = (units_on_the_page(text, start), units_on_the_page(text, end)) if is_raw else (start, end)
        is_free = all(units[1] <= other[0] or other[1] <= units[0] for _, other in found)
        if is_free and units[1] <= len(text) and (units not in suggested or units == (start, end)):
            found.append(((start, end, "port"), (*units, "port")))
    return found


def units_on_the_page(text: str, place: int) -> int:
    """What the page counts up to a place: from the last tag on."""
    before = text[:place]
    return in_units(browser_text(before[before.rfind(">") + 1 :] if "<b>" in text else before))


def browser_text(text: str) -> str:
    """As the pages have references: complete ones, of one character."""
    for reference in ("&amp;", "&lt;", "&#8211;", "&nbsp"):
        text = text.replace(reference, "x")
    return parsed(text)


def an_answer(record: str, expert: str, spans: list[Span]) -> Row:
    value = [{"start": start, "end": end, "label": label} for start, end, label in spans]
    return {
        "record": record,
        "expert": expert,
        "status": "submitted",
        "values": {"spans": {"value": value}},
    }


def test_every_answer_comes_out_on_the_characters_that_were_meant(round_trip: Exported) -> None:
    with_markup = {(f"{DATASET}/{name}:1", "bob") for name in ("tags", "odd <b>")}
    assert round_trip.unplaced == (with_markup if round_trip.is_raw else set())
    assert round_trip.rows.keys() == round_trip.meant.keys() - round_trip.unplaced
    shifted = 0
    for key, row in round_trip.rows.items():
        spans = [(span["start"], span["end"], span["label"]) for span in row["spans"]]
        assert spans == round_trip.meant[key], key
        assert row["text_sha256"] == text_sha256(round_trip.texts[key[0]])
        shifted += key[1] == "bob" and bool(spans) and first_shift(round_trip.texts[key[0]]) is not None
    assert shifted >= 5


def test_a_page_that_was_reviewed_and_has_no_span_is_a_row(round_trip: Exported) -> None:
    empty = [key for key, row in round_trip.rows.items() if row["spans"] == []]
    assert (f"{DATASET}/nothing:1", "ada") in empty
    assert (f"{DATASET}/nothing:1", "bob") in empty


def test_it_says_who_answered_how_far_and_when(round_trip: Exported) -> None:
    assert {row["status"] for row in round_trip.rows.values()} == {"submitted"}
    now = datetime.now(UTC)
    assert all(now - timedelta(hours=1) < row["submitted_at"] <= now for row in round_trip.rows.values())


def test_what_came_out_can_be_evaluated(round_trip: Exported, scheme: LabelScheme) -> None:
    store, layout = open_store(StoreLocation(str(round_trip.lake))), DatasetLayout(DATASET)
    store.write(f"{layout.responses}/responses.parquet", round_trip.responses.read_bytes())
    lake = lake_responses(store, layout)
    assert lake is not None
    of_the_lake = responses_by_page(lake, "the lake")
    rules = EvaluationRules.parse("annotator:ada", "", 0)
    found = evaluate_dataset(store, DATASET, lambda: None, scheme, rules)
    assert found.uses == {"used": len(round_trip.rows)}
    with duckdb.connect() as connection:
        (statements,) = re.findall(r"```sql\n(.*?)```", EXPORT.read_text("utf-8"), re.DOTALL)
        connection.execute(statements.replace("responses.parquet", str(round_trip.responses)))
        table = connection.execute("SELECT * FROM vw_argilla_responses").to_arrow_table()
    assert responses_by_page(table, "the view") == of_the_lake
    first_of_each = sum(bool(spans) for (_, expert), spans in round_trip.meant.items() if expert == "ada")
    assert found.scores.actions["label_changed"] == first_of_each
    assert found.scores.actions["border_moved"] == found.scores.actions["added"] == 0
