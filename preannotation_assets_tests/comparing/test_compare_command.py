"""``preannotate compare`` over reviewed pages and two stand-ins: what it says, writes and refuses."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from shared.compared_servers import EXACT, SLOPPY, Servers, compared_servers, environment_for
from shared.page_requests import page_requests
from shared.reviewed_demo import LAYOUT, ReviewedDemo, review_demo

from preannotation_assets.cli import main
from preannotation_assets.comparing.answering import answer_reviewed_pages
from preannotation_assets.comparing.prepared import prepare
from preannotation_assets.comparing.reviewed import read_reviewed_pages
from preannotation_assets.evaluation.pages import PageKey, place_of
from preannotation_assets.settings import Settings
from preannotation_assets.simulator import Fault, FaultRule
from preannotation_assets.telemetry.stage_progress import LogAlone

NAME = LAYOUT.dataset
Compare = Callable[[str], tuple[int, str, str]]
Places = dict[PageKey, set[tuple[int, int, str]]]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield compared_servers(stack)


@pytest.fixture
def environment(tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    values = {
        **environment_for(servers, EXACT),
        "PREANNOTATION_ROOT": str(tmp_path / "lake"),
        "PREANNOTATION_BOOTSTRAP_SAMPLES": "50",
        "DAGSTER_HOME": str(tmp_path / "dagster"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def demo(environment: dict[str, str]) -> ReviewedDemo:
    """Of the short pages some are reviewed, so that not all of the demo is asked about."""
    demo = review_demo(Path(environment["PREANNOTATION_ROOT"]))
    short = {key for key, page in demo.pages.items() if len(page.text) < 5000}
    demo.responses = [row for row in demo.responses if (row["doc_id"], row["page_num"]) in short][:10]
    demo.write_responses()
    return demo


@pytest.fixture
def compare(tmp_path: Path, demo: ReviewedDemo, capsys: pytest.CaptureFixture[str]) -> Compare:
    def command(variants: str) -> tuple[int, str, str]:
        (tmp_path / "variants.yaml").write_text(variants, "utf-8")
        capsys.readouterr()
        status = main(["compare", NAME, "--with", str(tmp_path / "variants.yaml")])
        return status, *capsys.readouterr()

    return command


def small(servers: Servers) -> str:
    return f"  small:\n    model: {SLOPPY}\n    ollama_endpoints: {servers[SLOPPY].url}\n"


def document(demo: ReviewedDemo) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(demo.store.uri(LAYOUT.comparison)).read_text("utf-8"))
    return content


def strict(variant: dict[str, Any]) -> dict[str, Any]:
    scores = variant["scores"]["scores"]
    (found,) = (each for each in scores if (each["label"], each["scheme"]) == ("", "strict"))
    return dict(found)


def answered(demo: ReviewedDemo, environment: dict[str, str]) -> Places:
    """What settings mark, by page."""
    pages = read_reviewed_pages(demo.store, NAME, lambda: None, "latest")
    found = answer_reviewed_pages(prepare(Settings.from_environment(environment), NAME), pages, LogAlone())
    return {
        (each.page.doc_id, each.page.page_num): set(map(place_of, each.page.suggested))
        for each in found.pages
    }


def test_the_table_and_the_report_tell_what_differs(
    compare: Compare, demo: ReviewedDemo, servers: Servers, environment: dict[str, str]
) -> None:
    status, out, err = compare("variants:\n" + small(servers) + "  uncut: {chunk_tokens: 5000}\n")
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    told = {variant["name"]: variant for variant in document(demo)["variants"]}
    assert list(told) == ["batch", "small", "uncut"]
    for name, variant in told.items():
        figures = [strict(variant)[key]["value"] for key in ("precision", "recall", "f1")]
        assert rows[name][1:4] == [f"{value:.3f}" for value in figures]
    # The same requests: nothing was asked a second time, and nothing differs.
    assert (told["uncut"]["costs"]["asked"], told["uncut"]["differences"]["f1"]["value"]) == (0, 0.0)
    assert told["uncut"]["differences"]["f1"]["p_value"] == 1.0
    assert told["batch"]["costs"]["batch_hours"] is None

    of_batch, of_small = (
        answered(demo, {**environment, **environment_for(servers, model)}) for model in (EXACT, SLOPPY)
    )
    differing = {key for key, places in of_batch.items() if places != of_small[key]}
    html = Path(demo.store.uri(LAYOUT.comparison_report)).read_text("utf-8")
    shown = re.findall(r'<article class="page" data-kinds="([^"]*)">\s*<header><h2>(\S+) ', html)
    assert sorted(doc for _, doc in shown) == sorted(doc for doc, _ in differing)
    assert {kinds for kinds, _ in shown} == {"v1"}
    assert html.count('data-side="v2"') == html.count('data-side="expert"') == len(differing)
    assert Path(demo.store.uri(LAYOUT.comparison_report)).stat().st_mode & 0o077 == 0


def test_the_baseline_may_be_another(compare: Compare, demo: ReviewedDemo, servers: Servers) -> None:
    both = "baseline: small\nvariants:\n  own: {}\n" + small(servers)
    assert compare(both)[0] == 0
    first, second = document(demo)["variants"]
    assert (first["name"], first["differences"], second["name"]) == ("small", None, "own")
    values = [strict(variant)["f1"]["value"] for variant in (first, second)]
    assert second["differences"]["f1"]["value"] == pytest.approx(values[1] - values[0]) != 0


def test_no_page_text_is_said_or_logged(
    compare: Compare, demo: ReviewedDemo, servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        status, out, err = compare("variants:\n" + small(servers))
    assert status == 0
    said = "\n".join([out, err, caplog.text, json.dumps(document(demo), ensure_ascii=False)])
    lines = {line.strip() for page in demo.pages.values() for line in page.text.splitlines()}
    assert [line for line in lines if len(line) > 12 and line in said] == []


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ("variants:\n  a: {model: not-there:1b}\n", "variant a: "),
        ("variants:\n  a: {labels: none.yaml}\n", "variant a: the label scheme "),
        ("variants:\n  a: {num_ctx: 600}\n", "variant a: "),
        ("variants:\n  a: {calibration: 0123456789abcdef}\n", "variant a: PREANNOTATION_CALIBRATION"),
        ("variants:\n  a: {spark_master: local}\n", "variants.yaml:2: `spark_master` is no setting"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line_before_anything_is(
    compare: Compare, demo: ReviewedDemo, servers: Servers, variants: str, said: str
) -> None:
    before = len(servers[EXACT].requests())
    status, out, err = compare(variants)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert said in err
    assert len(servers[EXACT].requests()) == before
    assert demo.store.stat(LAYOUT.comparison) is None


def test_a_server_that_fails_on_the_way_is_told_with_its_variant_and_the_rest_is_kept(
    compare: Compare, demo: ReviewedDemo, servers: Servers
) -> None:
    variants = "variants:\n  warm: {temperature: 0.5}\n" + small(servers) + "    attempts: 1\n"
    servers[SLOPPY].set_faults(FaultRule(Fault.CRASH, probability=1.0))
    try:
        status, out, err = compare(variants)
    finally:
        servers[SLOPPY].set_faults()
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "variant small: " in err
    assert demo.store.stat(LAYOUT.comparison) is None
    before = len(page_requests(servers[EXACT]))
    assert compare(variants)[0] == 0
    assert len(page_requests(servers[EXACT])) == before


def test_without_reviews_there_is_nothing_to_compare(
    compare: Compare, demo: ReviewedDemo, servers: Servers, tmp_path: Path
) -> None:
    demo.store.delete([entry.key for entry in demo.store.list(f"{LAYOUT.responses}/")])
    (row, *_) = demo.responses
    demo.responses = [{**row, "status": "draft"}]
    demo.write_responses()
    status, out, err = compare("variants:\n" + small(servers))
    assert (status, out) == (1, "")
    assert "preannotate evaluate says which there are" in err
