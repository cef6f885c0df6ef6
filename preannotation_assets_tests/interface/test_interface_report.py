"""The report in a browser: every page is found, filtered, gone through by keys, and nothing in it acts."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from shared.polling import wait_for
from shared.report_files import SCHEME, a_page, write_file

from preannotation_assets.publishing.report.data import ReportedPage

Open = Callable[..., Page]

HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '<img src="https://evil.example/a.png" onerror="window.hacked = 2">',
    "<svg onload=window.hacked=3><base href=https://evil.example/><link rel=stylesheet href=//evil.example>",
    "{{ 7 * 7 }} {% raw %} ${window.hacked=4} &lt;b&gt; &amp; \u202egnp.exe\u202c \u2066x",
    "javascript:window.hacked=5 \x00\x1b[2J \ufeff \u2028 🚢🏴\U000e0067",
)


@pytest.fixture
def requests(page: Page) -> list[str]:
    """What the window asks for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


@pytest.fixture
def report(page: Page, tmp_path: Path, requests: list[str]) -> Iterator[Open]:
    """Opens a report of pages; whatever it asks of anybody, or complains of, fails the test."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.on("dialog", lambda dialog: problems.append(dialog.message))

    def opened(pages: list[ReportedPage], **changes: str) -> Page:
        path = write_file(tmp_path / "preview.html", pages, SCHEME, **changes)
        page.goto(path.as_uri())
        expect(page.locator("body[data-ready]")).to_be_attached()
        return page

    yield opened
    assert problems == []
    assert requests == [(tmp_path / "preview.html").as_uri()]


def ten_pages() -> list[ReportedPage]:
    """Pages 0 to 5 are marked, sure ones first; 6 and 7 have no span, 8 has a rejected quote, 9 failed."""
    pages = [
        a_page(number, f"Page {number} tells of Hamburg and Marie.", [
            (16, 23, "port", 0.9 - number / 10), (28, 33, "vessel_name", 0.95)
        ], doc_id=f"vessels_ocr_1/{'ab'[number % 2]}")
        for number in range(6)
    ]  # fmt: skip
    pages += [a_page(6, "Nothing here."), a_page(7, "Nor here; Hamburg.")]
    pages += [
        a_page(8, "A strange page.", rejected=[("port", "Atlantis", "not_found")]),
        a_page(9, "", reason="timeout"),
    ]
    return pages


def status(page: Page, text: str) -> None:
    expect(page.locator("#status")).to_have_text(text)


def gone_to(page: Page, title: str, text: str) -> None:
    """The keys have gone to the mark of this text, on this page."""
    mark = page.locator(".mark.current")
    expect(mark).to_have_text(text)
    expect(page.locator("article", has=mark).locator("h2")).to_have_text(f"vessels_ocr_1/{title}")
    expect(mark).to_be_in_viewport()


def test_all_states_of_pages_are_shown_with_their_reasons(report: Open) -> None:
    page = report(ten_pages())
    status(page, "10 of 10 pages · 12 suggestions")
    for state, count in {"marked": 6, "without_spans": 3, "failed": 1, "rejected": 1}.items():
        page.locator("#state").select_option(state)
        status(page, f"{count} of 10 pages · {12 if state == 'marked' else '0 of 12'} suggestions")
    expect(page.locator(".rejected")).to_contain_text("Atlantis")
    expect(page.locator(".rejected")).to_contain_text("not found on the page")
    expect(page.locator(".rejected")).to_contain_text("Harbour or place")
    page.locator("#state").select_option("failed")
    expect(page.locator("article header")).to_contain_text("failed: timeout")


def test_pages_are_filtered_by_label_confidence_document_and_text(report: Open) -> None:
    page = report(ten_pages())
    page.get_by_role("button", name="Harbour or place").click()
    status(page, "6 of 10 pages · 6 of 12 suggestions")
    page.locator("#high").fill("0.65")
    status(page, "3 of 10 pages · 3 of 12 suggestions")
    page.locator("#low").fill("0.5")
    status(page, "2 of 10 pages · 2 of 12 suggestions")
    page.locator("#document").fill("OCR_1/B")
    status(page, "1 of 10 pages · 1 of 12 suggestions")
    page.locator("#clear").click()
    status(page, "10 of 10 pages · 12 suggestions")
    page.locator("#text").fill("HAMBURG.")
    status(page, "1 of 10 pages · 0 of 12 suggestions")
    expect(page.locator("article h2")).to_have_text("vessels_ocr_1/log · page 7")
    page.wait_for_function("CSS.highlights.get('hit')?.size")
    assert page.evaluate("[...CSS.highlights.get('hit')].map(String)") == ["Hamburg."]


def test_a_bar_of_the_histogram_is_a_filter(report: Open) -> None:
    page = report(ten_pages())
    page.locator('.confidences .bin[data-low="0.4"]').click()
    status(page, "1 of 10 pages · 1 of 12 suggestions")


def test_a_suggestion_that_a_filter_leaves_out_has_no_label(report: Open) -> None:
    page = report(ten_pages()[:1])
    expect(page.locator(".tag")).to_have_count(2)
    page.get_by_role("button", name="vessel_name").click()
    expect(page.locator(".tag")).to_have_count(1)
    expect(page.locator(".mark.out")).to_have_text("Hamburg")


def test_the_most_doubtful_comes_first(report: Open) -> None:
    page = report(ten_pages())
    page.keyboard.press("s")
    expect(page.locator("#order")).to_have_value("doubt")
    expect(page.locator("article h2").first).to_have_text("vessels_ocr_1/b · page 5")
    page.keyboard.press("j")
    gone_to(page, "b · page 5", "Hamburg")
    page.keyboard.press("j")
    page.keyboard.press("j")
    status(page, "10 of 10 pages · 3 of 12 suggestions")
    gone_to(page, "a · page 4", "Hamburg")


def test_keys_go_from_suggestion_to_suggestion_and_from_page_to_page(report: Open) -> None:
    page = report(ten_pages())
    for key, place in {"j": 1, "k": 1}.items():
        page.keyboard.press(key)
        status(page, f"10 of 10 pages · {place} of 12 suggestions")
    gone_to(page, "a · page 0", "Hamburg")
    for _ in range(4):
        page.keyboard.press("n")
    expect(page.locator("article.current h2")).to_have_text("vessels_ocr_1/a · page 4")
    page.keyboard.press("p")
    expect(page.locator("article.current h2")).to_have_text("vessels_ocr_1/b · page 3")
    page.keyboard.press("j")
    status(page, "10 of 10 pages · 7 of 12 suggestions")
    gone_to(page, "b · page 3", "Hamburg")
    page.keyboard.press("/")
    page.keyboard.type("njk?")
    status(page, "0 of 10 pages · 0 of 12 suggestions")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_confidence_is_seen_on_the_mark(report: Open) -> None:
    spans = [(0, 4, "port", 0.91), (5, 9, "port", 0.6), (10, 14, "port", 0.3), (15, 19, "port", None)]
    page = report([a_page(1, "sure less none what", spans)])
    tags = page.locator(".tag")
    expect(tags).to_have_count(4)
    assert tags.evaluate_all("all => all.map(tag => tag.dataset.confidence)") == [".91", ".60", ".30", "?"]
    lines = page.locator(".mark").evaluate_all(
        "all => all.map(mark => mark.style.backgroundImage + mark.style.backgroundSize)"
    )
    assert len(set(lines)) == 4
    assert [line.startswith("repeating") for line in lines] == [False, False, True, True]


def test_overlapping_suggestions_are_all_seen_and_the_text_stays_whole(report: Open) -> None:
    text = "🚢 the 🏴 Marie of Hamburg"
    spans = [(0, 24, "port", 0.9), (8, 13, "vessel_name", 0.8), (10, 17, "port", 0.7)]
    page = report([a_page(1, text, spans)])
    marks = page.locator(".mark")
    pieces = [text[0:8], text[8:10], text[10:13], text[13:17], text[17:24]]
    # A page is drawn when it comes into view.
    expect(marks).to_have_count(len(pieces))
    assert marks.evaluate_all("all => all.map(mark => mark.textContent)") == pieces
    assert marks.evaluate_all("all => all.map(mark => mark.dataset.spans)") == [
        "0",
        "0 1",
        "0 1 2",
        "0 2",
        "0",
    ]
    images = marks.evaluate_all(
        "all => all.map(mark => mark.style.backgroundImage.split('linear-gradient').length)"
    )
    assert images == [3, 4, 5, 4, 3]
    expect(page.locator(".tag")).to_have_count(3)


def test_what_is_copied_is_the_pages_text_without_labels(report: Open) -> None:
    text = "  Two  spaces\n\tand a tab,\n\nthe Marie.\nEnd"
    page = report([a_page(1, text, [(2, 5, "port", 0.9), (31, 36, "vessel_name", None)])])
    expect(page.locator(".tag")).to_have_count(2)
    copied = page.locator(".text").evaluate(
        "box => { const all = getSelection(); all.selectAllChildren(box); return all.toString(); }"
    )
    assert copied == text


def test_hostile_text_is_text(report: Open) -> None:
    pages = [
        a_page(number, text, [(0, len(text), "port", 0.5)], doc_id=text, rejected=[(text, text, text)])
        for number, text in enumerate(HOSTILE)
    ]
    pages += [a_page(9, "", doc_id=HOSTILE[0], reason=HOSTILE[1])]
    page = report(
        pages, model=HOSTILE[0], run_id=HOSTILE[1], prompt_version=HOSTILE[2], model_version=HOSTILE[3]
    )
    expect(page.locator(".text")).to_have_count(len(HOSTILE))
    assert page.locator(".text").evaluate_all("all => all.map(box => box.textContent)") == list(HOSTILE)
    expect(page.locator(".quote")).to_have_count(len(HOSTILE))
    assert page.locator(".quote").evaluate_all("all => all.map(box => box.textContent)") == list(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, base, link, iframe, svg[onload]").count() == 0
    assert page.locator("script:not([data-chunk])").count() == 1
    expect(page.locator(".why")).to_contain_text("onerror")


def test_the_browser_keeps_the_page_from_making_html_of_text_and_from_asking_anybody(
    page: Page, tmp_path: Path
) -> None:
    page.goto(write_file(tmp_path / "preview.html", ten_pages()).as_uri())
    refused = page.evaluate(
        """async () => {
          const refused = [];
          const told = (event) => refused.push(event.effectiveDirective);
          document.addEventListener("securitypolicyviolation", told);
          try { document.body.innerHTML = "<b>x</b>"; } catch {}
          try { await fetch("https://evil.example/"); } catch {}
          const image = new Image();
          await new Promise((done) => {
            image.onload = image.onerror = done;
            image.src = "https://evil.example/a.png";
          });
          return refused;
        }"""
    )
    assert refused == ["require-trusted-types-for", "connect-src", "img-src"]
    expect(page.locator("#status")).to_contain_text("10 of 10 pages")


def test_five_thousand_pages_open_with_few_boxes_and_every_one_is_reached(report: Open) -> None:
    chance = random.Random(1)
    words = ["vessel", "port", "cargo", "Hamburg", "captain", "voyage", "harbour", "quay", "iron", "grain"]
    pages = []
    for number in range(5_000):
        text = " ".join(chance.choice(words) for _ in range(300))
        starts = sorted(chance.sample(range(len(text) - 9), 12))
        spans = [(start, start + 8, "port", chance.random()) for start in starts]
        pages.append(a_page(number, text, spans))
    page = report(pages)
    status(page, "5,000 of 5,000 pages · 60,000 suggestions")
    expect(page.locator("article h2").first).to_have_text("vessels_ocr_1/log · page 0")
    elements = "document.querySelectorAll('*').length"
    assert page.evaluate(elements) < 2_000

    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("article h2").last).to_have_text("vessels_ocr_1/log · page 4999")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight / 2)")
    wait_for(
        lambda: page.evaluate(
            "[...document.querySelectorAll('article h2')].some(title => / 2\\d{3}$/.test(title.textContent))"
        ),
        "the middle",
        30,
    )
    page.evaluate("window.scrollTo(0, 0)")
    expect(page.locator("article h2").first).to_have_text("vessels_ocr_1/log · page 0")
    assert page.evaluate(elements) < 3_000

    page.locator("#document").fill("nowhere")
    status(page, "0 of 5,000 pages · 0 of 60,000 suggestions")


def test_it_is_dark_where_the_reader_wants_it_dark(report: Open) -> None:
    page = report(ten_pages())
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert page.evaluate(ground) > 200
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ground} < 60")
    page.emulate_media(color_scheme="dark", media="print")
    page.wait_for_function(f"{ground} === 255")
    expect(page.locator("#state")).to_be_hidden()
