"""Page text is in the lake and in requests to the model, nowhere else."""

from pathlib import Path

from interface.conftest import FailedRuns
from interface.serving import Interface, Run
from interface.warehouse_file import MARKER


def _files_with_marker(folder: Path) -> list[str]:
    # Upper or lower case: a page may have been folded on the way.
    return [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and MARKER.lower().encode() in file.read_bytes().lower()
    ]


def test_nothing_dagster_keeps_or_says_holds_page_text(
    interface: Interface, materialized: Run, failed_runs: FailedRuns
) -> None:
    assert {materialized.status, failed_runs.without_model.status} == {"SUCCESS", "FAILURE"}
    assert _files_with_marker(interface.root), "the marker is not even in the lake: this test proves nothing"
    assert _files_with_marker(interface.home) == []
    assert MARKER.lower() not in interface.output.read_text("utf-8", "replace").lower()
