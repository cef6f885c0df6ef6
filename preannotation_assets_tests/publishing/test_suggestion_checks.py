"""The asset checks tell what the verification finds, each under its own name."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import AssetCheckResult
from shared.published_dataset import LABELS, Dataset, good_rows

from preannotation_assets.defs.checks import _RULES, suggestion_checks
from preannotation_assets.defs.partitions import PARTITION_TAG
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.publishing.verification import Rule


@pytest.fixture
def scheme(tmp_path: Path) -> LabelSchemeResource:
    path = tmp_path / "labels.yaml"
    labels = [f"  - name: {label}\n    definition: A {label}.\n" for label in LABELS]
    path.write_text("name: test\nversion: 1\nlabels:\n" + "".join(labels))
    return LabelSchemeResource(path=str(path))


def results(dataset: Dataset, scheme: LabelSchemeResource, *names: str) -> dict[str, AssetCheckResult]:
    function: Any = suggestion_checks.node_def.compute_fn.decorated_fn  # type: ignore[attr-defined]
    selected = [key for key in suggestion_checks.check_keys if key.name in names or not names]
    context = SimpleNamespace(
        run=SimpleNamespace(tags={PARTITION_TAG: dataset.layout.dataset}), selected_asset_check_keys=selected
    )
    found = function(context, StorageResource(root=str(dataset.root)), scheme)
    return {result.check_name: result for result in found}


def test_every_rule_belongs_to_one_check() -> None:
    assert sorted(rule for rules in _RULES.values() for rule in rules) == sorted(Rule)


def test_good_suggestions_pass_and_shifted_pages_are_counted(
    dataset: Dataset, scheme: LabelSchemeResource
) -> None:
    dataset.publish(good_rows())
    found = results(dataset, scheme)
    assert all(result.passed for result in found.values() if result.check_name != "grounded_quotes")
    assert found["contract"].metadata["pages_argilla_marks_shifted"].value == 1


def test_a_manifest_that_does_not_account_for_a_page_fails_the_contract(
    dataset: Dataset, scheme: LabelSchemeResource
) -> None:
    manifest = dataset.publish(good_rows()).manifest
    for changes in ({"pages_without_spans": []}, {"pages_with_spans": 1}):
        key = dataset.layout.published_manifest
        write_manifest(dataset.plain_store, key, manifest.model_copy(update=changes))
        found = results(dataset, scheme)
        assert not found["contract"].passed
        assert found["contract"].description
        assert found["offsets"].passed
        assert found["span_ids"].passed


def test_quotes_that_were_found_and_then_dropped_count_as_grounded(
    dataset: Dataset, scheme: LabelSchemeResource
) -> None:
    manifest = dataset.publish(good_rows()).manifest
    key = dataset.layout.published_manifest
    counts = {outcome.value: 10 if outcome.is_grounded else 1 for outcome in QuoteOutcome}
    for quotes, passed in ((counts, True), ({**counts, "not_found": 100}, False)):
        write_manifest(dataset.plain_store, key, manifest.model_copy(update={"quotes_by_outcome": quotes}))
        found = results(dataset, scheme)["grounded_quotes"]
        assert found.passed is passed
        assert found.metadata["count"].value == 10 * sum(outcome.is_grounded for outcome in QuoteOutcome)
        assert found.metadata["of"].value == sum(quotes.values())


@pytest.mark.parametrize(
    ("pages", "passed", "count", "answered"),
    [
        ({"empty": 18, "marked": 2, "not_asked": 9}, False, 18, 20),
        ({"empty": 17, "marked": 3}, True, 17, 20),
        ({"empty": 19}, True, 19, 19),
        ({"all_rejected": 20}, True, 0, 20),
        ({}, True, 0, 0),
    ],
)
def test_pages_that_came_back_empty_are_a_warning(
    dataset: Dataset,
    scheme: LabelSchemeResource,
    pages: dict[str, int],
    passed: bool,
    count: int,
    answered: int,
) -> None:
    manifest = dataset.publish(good_rows(), pages_by_answer=pages).manifest
    assert manifest.pages_by_answer == pages
    found = results(dataset, scheme)["empty_answers"]
    assert (found.passed, found.severity.value) == (passed, "WARN")
    assert (found.metadata["count"].value, found.metadata["of"].value) == (count, answered)


@pytest.mark.parametrize(("rows", "passed"), [(1, False), (2, True), (3, True)])
def test_most_rows_lost_is_a_warning(
    dataset: Dataset, scheme: LabelSchemeResource, rows: int, passed: bool
) -> None:
    dataset.publish(good_rows())
    dataset.publish(good_rows()[:rows], run_id="less")
    found = results(dataset, scheme)["kept_rows"]
    assert (found.passed, found.severity.value) == (passed, "WARN")
    assert (found.metadata["count"].value, found.metadata["of"].value) == (rows, 4)


def test_a_first_publication_has_lost_nothing(dataset: Dataset, scheme: LabelSchemeResource) -> None:
    dataset.publish(good_rows())
    found = results(dataset, scheme)["kept_rows"]
    assert found.passed
    assert found.metadata["of"].value == 0
