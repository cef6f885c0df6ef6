"""kill -9 at every step of a publication: a reader finds the old batch or the new, the next run repairs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from published_batches import BATCHES, LAYOUT, RULES, Batch, Halt, expected_table, publish_batch, write_pages
from publisher_process import PublisherProcess, publisher_process
from s3_servers.fault_proxy import FaultProxy, HangPoint, Moment

from preannotation_assets.errors import VerificationError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, read_table
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.publisher import verify_dataset

OLD, NEW = BATCHES["small"], BATCHES["large"]

# The second part of what is merged, the Parquet, and its manifest; what the Parquet holds when it is over.
S3_STEPS = {
    "merge": (HangPoint("GET", "rows/part-00002.parquet", Moment.BEFORE), OLD),
    "before the upload": (HangPoint("PUT", "/suggestions.parquet", Moment.BEFORE), OLD),
    "half the upload": (HangPoint("PUT", "/suggestions.parquet", Moment.HALF), OLD),
    "after the upload": (HangPoint("PUT", "/suggestions.parquet", Moment.AFTER), NEW),
    "before the manifest": (HangPoint("PUT", "/_manifest.json", Moment.BEFORE), NEW),
    "half the manifest": (HangPoint("PUT", "/_manifest.json", Moment.HALF), NEW),
    "after the manifest": (HangPoint("PUT", "/_manifest.json", Moment.AFTER), NEW),
}
FOLDER_STEPS = {Halt.MERGE: OLD, Halt.UPLOAD: OLD, Halt.RENAME: OLD, Halt.MANIFEST: NEW}


@pytest.fixture(scope="module")
def publisher() -> Iterator[PublisherProcess]:
    with publisher_process() as process:
        yield process


def assert_reader_sees(store: ObjectStore, batch: Batch) -> None:
    table: pa.Table = read_table(store, LAYOUT.published_suggestions)
    assert table.equals(expected_table(batch))
    names = {stat.key.rpartition("/")[2] for stat in store.list(f"{LAYOUT.published}/")}
    assert names == {"suggestions.parquet", "_manifest.json"}


def is_whole(store: ObjectStore) -> bool:
    """Whether the manifest names the Parquet beside it, and every row of it is right."""
    manifest = read_manifest(store, LAYOUT.published_manifest, SuggestionsManifest)
    stat = store.stat(LAYOUT.published_suggestions)
    assert manifest is not None
    assert stat is not None
    if manifest.parquet_etag == stat.etag:
        return verify_dataset(store, LAYOUT.dataset, RULES).passed
    with pytest.raises(VerificationError, match="does not name"):
        verify_dataset(store, LAYOUT.dataset, RULES)
    return False


def assert_healed_by_next_run(store: ObjectStore) -> None:
    publish_batch(store, NEW)
    assert is_whole(store)
    assert_reader_sees(store, NEW)
    manifest = read_manifest(store, LAYOUT.published_manifest, SuggestionsManifest)
    assert manifest is not None
    assert manifest.model_version == NEW.name


@pytest.mark.parametrize(
    ("kind", "steps"),
    [("s3", list(S3_STEPS)), ("radosgw", ["half the upload", "after the upload", "half the manifest"])],
)
def test_a_publisher_to_s3_killed_at_any_step_leaves_old_or_new(
    request: pytest.FixtureRequest, publisher: PublisherProcess, kind: str, steps: list[str]
) -> None:
    location: StoreLocation = request.getfixturevalue(f"{kind}_location")
    proxy: FaultProxy = request.getfixturevalue("proxy" if kind == "s3" else "radosgw_proxy")
    store = open_store(location)
    write_pages(store)
    for step in steps:
        point, left = S3_STEPS[step]
        publish_batch(store, OLD)
        # radosgw refuses the first form of the condition; the second one does the work.
        proxy.hang_at(point, spared=int(kind == "radosgw" and point.path_end == "/suggestions.parquet"))
        publisher.start(location.root, proxy.url, f"publish:{NEW.name}")
        assert proxy.hanging.wait(20), step
        publisher.kill()
        proxy.release()
        assert_reader_sees(store, left)
        assert is_whole(store) is (
            step not in ("after the upload", "before the manifest", "half the manifest")
        )
        assert_healed_by_next_run(store)


def test_a_publisher_to_a_folder_killed_at_any_step_leaves_old_or_new(
    local_store: ObjectStore, local_root: Path, publisher: PublisherProcess
) -> None:
    write_pages(local_store)
    for halt, left in FOLDER_STEPS.items():
        publish_batch(local_store, OLD)
        publisher.start(str(local_root), "", f"publish:{NEW.name}:{halt}")
        assert publisher.line() == "halted"
        publisher.kill()
        assert_reader_sees(local_store, left)
        assert is_whole(local_store) is (halt is not Halt.MANIFEST)
        later = datetime.now(UTC) + timedelta(hours=1)
        unfinished = local_store.sweep_unfinished(f"{LAYOUT.published}/", later)
        assert unfinished == (1 if halt in (Halt.UPLOAD, Halt.RENAME) else 0)
        assert_healed_by_next_run(local_store)
