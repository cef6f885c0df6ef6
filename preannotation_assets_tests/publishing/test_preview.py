from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.published_dataset import PAGE_TEXTS, Dataset, good_rows, page_rows

from preannotation_assets.errors import BatchError
from preannotation_assets.extraction.labels import label_colours, parse_label_scheme
from preannotation_assets.publishing import preview
from preannotation_assets.publishing.preview import render_page, write_preview

SCHEME = parse_label_scheme(
    """
name: vessels
version: "1"
labels:
  - name: port
    definition: A port.
    color: "#112233"
  - name: vessel_name
    definition: A vessel.
""",
    "vessels.yaml",
)


class _Text(HTMLParser):
    """The text of a page as a browser would show it, and how deep marks are nested."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "small" not in self.open:
            self.text += data


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["<b>&amp;</b>", "</mark></div><script>alert(1)</script>", "&lt;", "a&", "\"'<"]
)


@given(texts, st.data())
def test_a_page_is_shown_as_it_is_whatever_is_marked(text: str, data: st.DataObject) -> None:
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(
        lambda place: place[0] < place[1]
    )
    spans: list[dict[str, Any]] = [
        {"label": "<i>", "start": start, "end": end, "confidence": None}
        for start, end in (data.draw(st.lists(places, max_size=4)) if text else [])
    ]
    parser = _Text()
    page = {"doc_id": "a", "page_num": 1, "text": text}
    parser.feed(render_page(page, spans, {"<i>": "background:red"}))
    parser.close()
    assert parser.text == text
    assert parser.open == []
    assert parser.tags <= {"mark", "small"}


def test_the_preview_shows_pages_and_marks(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    address = write_preview(dataset.plain_store, dataset.layout.dataset, SCHEME)
    assert address == str(dataset.root / dataset.layout.preview)
    assert "/argilla/in/" not in address
    html = dataset.plain_store.read(dataset.layout.preview).decode("utf-8")
    assert "3 of 3 pages shown" in html
    assert html.count("<mark") == 4
    assert "Hansa V</mark>" not in html  # the label stands behind it
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;" in html
    assert "Nothing here." in html


def test_a_label_has_the_schemes_colour_and_can_be_read_on_it(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    write_preview(dataset.plain_store, dataset.layout.dataset, SCHEME)
    html = dataset.plain_store.read(dataset.layout.preview).decode("utf-8")
    free = label_colours(SCHEME)["vessel_name"]
    assert '<span style="background:#112233;color:#ffffff">port<small>1</small>' in html
    assert html.count(f'<mark style="background:{free};color:#000000"') == 3


def test_only_the_first_pages_are_shown(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MOST_PAGES", 1)
    dataset.publish(good_rows())
    write_preview(dataset.plain_store, dataset.layout.dataset, SCHEME)
    html = dataset.plain_store.read(dataset.layout.preview).decode("utf-8")
    assert "1 of 3 pages shown" in html
    assert html.count("<mark") == 2
    assert "Hansa" not in html


def test_marks_of_another_version_of_a_page_are_not_shown(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.publish(good_rows())
    changed = [row | {"text": "short", "text_sha256": "new"} for row in page_rows()]
    monkeypatch.setattr(preview, "iterate_rows", lambda *_: iter(changed))
    write_preview(dataset.plain_store, dataset.layout.dataset, SCHEME)
    html = dataset.plain_store.read(dataset.layout.preview).decode("utf-8")
    assert html.count("short") == len(PAGE_TEXTS)
    assert "<mark" not in html


def test_without_a_publication_there_is_no_preview(dataset: Dataset) -> None:
    with pytest.raises(BatchError, match="suggestions"):
        write_preview(dataset.plain_store, dataset.layout.dataset, SCHEME)
