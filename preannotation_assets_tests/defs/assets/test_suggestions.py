"""The asset ``suggestions``, but for what needs Spark."""

from pathlib import Path

import pytest
from dagster import MetadataValue, build_asset_context
from shared.published_dataset import LAYOUT, Dataset, good_rows
from shared.report_files import SCHEME

from preannotation_assets.defs.assets import suggestions as module
from preannotation_assets.errors import StorageError
from preannotation_assets.manifests import RawModelOutputsManifest


def inputs(dataset: Dataset) -> module._Inputs:
    outputs = RawModelOutputsManifest(
        dataset=LAYOUT.dataset, version="o", pages_version="v1", chunks_version="c", model="m",
        model_digest="d", model_version="v", prompt_version="p", request_fingerprint="f", part_rows=[],
        answered=0, failed=0,
    )  # fmt: skip
    return module._Inputs(LAYOUT, dataset.pages, outputs, SCHEME)


def test_the_report_is_linked(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    dataset.publish(good_rows())
    metadata = module._report(build_asset_context(), dataset.plain_store, inputs(dataset), None)
    assert metadata == {"report": MetadataValue.path(str(tmp_path / LAYOUT.preview))}
    assert (tmp_path / LAYOUT.preview).is_file()


def test_a_report_that_cannot_be_written_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset(tmp_path)
    dataset.publish(good_rows())

    def no_room(*_: object) -> str:
        raise StorageError("no room is left", "free some")

    monkeypatch.setattr(module, "write_report", no_room)
    warned: list[str] = []
    context = build_asset_context()
    monkeypatch.setattr(context.log, "warning", warned.append)
    assert module._report(context, dataset.plain_store, inputs(dataset), None) == {}
    assert len(warned) == 1
    assert "no room is left" in warned[0]
