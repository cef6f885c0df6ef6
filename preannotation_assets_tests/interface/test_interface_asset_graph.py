"""What a user sees before anything has run."""

from playwright.sync_api import Page, expect

from interface.serving import Interface

ASSETS = (
    "vw_argilla_pages", "pages", "chunks", "raw_model_outputs", "suggestions", "argilla_records",
    "vw_argilla_responses", "evaluation",
)  # fmt: skip


def test_the_graph_goes_from_the_view_to_the_records_and_only_ours_are_materialized(
    interface: Interface, page: Page
) -> None:
    page.goto(f"{interface.url}/asset-groups")
    for asset in ASSETS:
        # The first is in the list beside the graph, where long names are whole.
        expect(page.get_by_text(asset, exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Materialize all (5)")).to_be_visible()


def test_nobody_is_asked_for_an_email_address(interface: Interface, page: Page) -> None:
    page.goto(f"{interface.url}/asset-groups")
    expect(page.get_by_role("button", name="Materialize all")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_an_asset_says_what_it_is_and_whose(interface: Interface, page: Page) -> None:
    for asset, words, kinds in (
        ("pages", "The pages of the batch as the warehouse has them now", ("DuckDB", "Parquet")),
        ("chunks", "Every page in slices of a bounded number of tokens", ("PySpark", "Parquet")),
        ("raw_model_outputs", "Every chunk with the model's answer", ("llm", "PySpark", "Parquet")),
        ("suggestions", "The published spans", ("PySpark", "Parquet")),
        ("evaluation", "What experts made of the published suggestions", ("Python", "Parquet")),
    ):
        page.goto(f"{interface.url}/assets/{asset}?view=overview")
        expect(page.get_by_text(words)).to_be_visible()
        for kind in kinds:
            expect(page.get_by_text(kind, exact=True).first).to_be_visible()
        expect(page.get_by_text("Owners", exact=True)).to_be_visible()
        # The owners, and the group of the same name.
        expect(page.get_by_text("preannotation", exact=True)).to_have_count(2)
        expect(page.get_by_text("doc_id", exact=True).first).to_be_visible()


def test_what_others_make_says_so(interface: Interface, page: Page) -> None:
    for asset, words, kind in (
        ("vw_argilla_pages", "The view of OCR pages in the warehouse", "DuckDB"),
        ("argilla_records", "this pipeline does not", "argilla"),
        ("vw_argilla_responses", "What experts answered", "DuckDB"),
    ):
        page.goto(f"{interface.url}/assets/{asset}?view=overview")
        expect(page.get_by_text(words)).to_be_visible()
        expect(page.get_by_text(kind, exact=True).first).to_be_visible()


def test_one_run_at_a_time_asks_the_model_from_the_first_run_on(interface: Interface) -> None:
    assert interface.pool_limits() == {"model_server": 1}
