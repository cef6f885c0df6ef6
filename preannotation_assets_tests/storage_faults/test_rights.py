"""The policies of deploy/s3 are enough, and a right that is missing is named in one line (radosgw)."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pyarrow as pa
import pytest
from published_batches import BATCHES, LABELS, LAYOUT, expected_table, publish_batch, write_pages
from s3_servers.fixtures import plain_client
from s3_servers.limits import QUICK
from s3_servers.rados_gateway import ACCESS_KEY, SECRET_KEY, RadosGateway
from shared.report_files import pages_in

from preannotation_assets.answer_store.compaction import compact_answers
from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.errors import StorageError
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake import (
    ObjectStore,
    StoreLocation,
    open_for_publishing,
    open_store,
    read_table,
    write_table,
)
from preannotation_assets.lake.batch import sweep_dead_writers, sweep_stage
from preannotation_assets.lake.lease import DatasetLease
from preannotation_assets.publishing.publisher import verify_dataset
from preannotation_assets.publishing.report import save_report, write_report
from preannotation_assets.publishing.verification import SpanRules
from preannotation_assets.settings.groups import LabelSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

POLICIES = Path(__file__).parents[2] / "deploy" / "s3"
# radosgw lets everybody read what they wrote themselves, so who reads is another.
WRITER, READER, LIMITED_SECRET = "writer", "reader", "not-a-secret-of-the-limited-one"
RULES = SpanRules(LABELS, overlaps_allowed=False)
NAMED_BEFORE_A_RUN = ("s3:PutObject", "s3:DeleteObject", "s3:ListBucket")


@dataclass(frozen=True, slots=True)
class Grants:
    """Gives limited users rights in a bucket, below a prefix."""

    radosgw: RadosGateway
    bucket: str
    patch: pytest.MonkeyPatch

    @property
    def location(self) -> StoreLocation:
        return StoreLocation(f"s3://{self.bucket}/pre/fix", "http://{}:{}".format(*self.radosgw.address))

    @property
    def owner(self) -> "S3Client":
        return plain_client(self.radosgw.address)

    def give(self, policy: str, *, without: str = "") -> ObjectStore:
        """The store as one sees it who has this policy of deploy/s3, all or all but one right."""
        text = (POLICIES / f"{policy}.json").read_text("utf-8")
        document = json.loads(text.replace("BUCKET", self.bucket).replace("PREFIX", "pre/fix"))
        for statement in document["Statement"]:
            actions = statement["Action"]
            kept = [each for each in ([actions] if isinstance(actions, str) else actions) if each != without]
            # A statement must have an action.
            statement["Action"] = kept or ["s3:GetBucketLocation"]
        session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
        address = "http://{}:{}".format(*self.radosgw.address)
        iam: Any = session.client("iam", endpoint_url=address)
        user = WRITER if policy == "run" else READER
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(document))
        self.patch.setenv("AWS_ACCESS_KEY_ID", user)
        self.patch.setenv("AWS_SECRET_ACCESS_KEY", LIMITED_SECRET)
        return open_store(self.location, QUICK)


@pytest.fixture(scope="module")
def limited_users(radosgw: RadosGateway) -> None:
    for user in (WRITER, READER):
        radosgw.create_limited_user(user, LIMITED_SECRET)


@pytest.fixture(scope="module")
def granted_bucket(radosgw: RadosGateway) -> str:
    name = f"lake-{uuid4().hex}"
    plain_client(radosgw.address).create_bucket(Bucket=name)
    return name


@pytest.fixture
def grants(
    radosgw: RadosGateway,
    granted_bucket: str,
    limited_users: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Grants]:
    grants = Grants(radosgw, granted_bucket, monkeypatch)
    yield grants
    for entry in grants.owner.list_objects_v2(Bucket=granted_bucket).get("Contents", []):
        grants.owner.delete_object(Bucket=granted_bucket, Key=entry["Key"])


def answer(number: int) -> pa.Table:
    row = {
        **dict.fromkeys(ANSWERS.names),
        "request_key": f"key-{number}", "status": AnswerStatus.ANSWERED, "answer": "a",
        "estimated_prompt_tokens": 1, "attempts": 1, "answered_at": number + 1, "run_id": "run",
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=ANSWERS)


def live_a_batch(store: ObjectStore) -> None:
    """Everything that a run does with the lake."""
    sweep_dead_writers(store, LAYOUT)
    write_pages(store)
    with DatasetLease(store, LAYOUT.lease, "run", pytest.fail):
        for number in range(20):
            write_table(store, f"{LAYOUT.answers}/run/{number}.parquet", answer(number))
        assert compact_answers(store, LAYOUT.answers) == 20
    assert AnswerIndex.read(store, LAYOUT.answers).get("key-7")
    publish_batch(store, BATCHES["small"])
    publish_batch(store, BATCHES["large"])
    sweep_stage(store, LAYOUT, "suggestions", "large")
    write_report(store, LAYOUT.dataset, scheme())


def scheme() -> LabelScheme:
    return load_label_scheme(LabelSettings().path)


def test_the_rights_of_a_run_are_enough_for_the_whole_life_of_a_batch(
    grants: Grants, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants.give("run")
    store = open_for_publishing(grants.location)
    live_a_batch(store)
    assert verify_dataset(store, LAYOUT.dataset, RULES).passed
    monkeypatch.setattr("preannotation_assets.lake.batch._SUPERSEDED_AFTER", timedelta(seconds=-10))
    assert sweep_stage(store, LAYOUT, "suggestions", "large") > 0
    with pytest.raises(
        StorageError, match=r"access to .* is denied \(AccessDenied\): PutObject needs s3:PutObject"
    ):
        open_store(
            StoreLocation(f"s3://{grants.bucket}/elsewhere", grants.location.endpoint_url), QUICK
        ).write("argilla/work/k", b"x")


@pytest.mark.parametrize("missing", NAMED_BEFORE_A_RUN)
def test_a_right_that_is_missing_is_named_before_a_run(grants: Grants, missing: str) -> None:
    grants.give("run", without=missing)
    with pytest.raises(StorageError) as caught:
        open_for_publishing(grants.location)
    line = str(caught.value)
    assert line.startswith(f"the storage root {grants.location.root} cannot be used: access to s3://")
    assert f"needs {missing}" in line
    assert "docs/storage.md" in line
    assert "\n" not in line
    assert LIMITED_SECRET not in line


def test_a_right_to_read_that_is_missing_is_named(grants: Grants) -> None:
    """radosgw lets everybody read what they wrote themselves, so its preflight passes."""
    layout_key = LAYOUT.stage_manifest("pages")
    grants.owner.put_object(Bucket=grants.bucket, Key=f"pre/fix/{layout_key}", Body=b"{}")
    store = grants.give("run", without="s3:GetObject")
    for read in (store.read, store.open, store.stat):
        with pytest.raises(StorageError, match=r"is denied .* needs s3:GetObject and s3:ListBucket"):
            read(layout_key)


def test_who_may_only_read_verifies_and_previews_and_writes_nothing(grants: Grants, tmp_path: Path) -> None:
    live_a_batch(grants.give("run"))
    store = grants.give("read")
    assert verify_dataset(store, LAYOUT.dataset, RULES).passed
    (file,) = save_report(store, LAYOUT.dataset, scheme(), tmp_path / "own.html")
    assert pages_in(file)
    grants.owner.delete_object(Bucket=grants.bucket, Key=f"pre/fix/{LAYOUT.preview}")
    before = grants.owner.list_objects_v2(Bucket=grants.bucket)["Contents"]
    with pytest.raises(StorageError, match="PutObject needs s3:PutObject"):
        write_report(store, LAYOUT.dataset, scheme())
    with pytest.raises(StorageError, match="DeleteObject needs s3:DeleteObject"):
        store.delete([LAYOUT.preview])
    assert grants.owner.list_objects_v2(Bucket=grants.bucket)["Contents"] == before


def test_a_loader_reads_what_is_published_and_nothing_else(grants: Grants) -> None:
    live_a_batch(grants.give("run"))
    store = grants.give("loader")
    published = [entry.key for entry in store.list("argilla/in/")]
    assert published == [LAYOUT.published_manifest, LAYOUT.published_suggestions]
    assert read_table(store, LAYOUT.published_suggestions).equals(expected_table(BATCHES["large"]))
    refused: tuple[Callable[[], object], ...] = (
        lambda: list(store.list("argilla/work/")),
        lambda: store.read(LAYOUT.stage_manifest("pages")),
        lambda: store.write(LAYOUT.published_manifest, b"{}"),
    )
    for act in refused:
        with pytest.raises(StorageError, match="is denied"):
            act()
