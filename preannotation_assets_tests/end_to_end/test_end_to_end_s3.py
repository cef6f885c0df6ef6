"""The main job with its lake on an S3-compatible server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3_servers.conditional_habits import HABITS
from s3_servers.fault_proxy import FaultProxy
from shared.report_files import pages_in

from end_to_end.user_place import DATASET, MARKER, PAGES, REPORT, Place, make_place, warehouse_texts
from preannotation_assets.simulator import RunningSimulator

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Preannotate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def place(tmp_path: Path, simulator: RunningSimulator, proxy: FaultProxy) -> Place:
    found = make_place(
        tmp_path / "user", {"plain": REPORT, "emoji": PAGES["emoji"], "empty": ""}, simulator.url
    )
    found.environment.update(
        PREANNOTATION_ROOT="s3://lake/pre/fix",
        AWS_ENDPOINT_URL=proxy.url,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="hunter2-secret",
        AWS_DEFAULT_REGION="us-east-1",
    )
    return found


def test_a_lake_on_s3(place: Place, client: "S3Client", proxy: FaultProxy, preannotate: Preannotate) -> None:
    status, _, err = preannotate(place, "run", DATASET)
    assert (status, err.count("\n")) == (1, 1)
    assert "s3://lake" in err
    client.create_bucket(Bucket="lake")
    proxy.habit = next(habit for habit in HABITS if habit.name == "400 to If-Match").make()
    status, _, err = preannotate(place, "run", DATASET)
    assert (status, err.count("\n")) == (1, 1)
    assert "takes no write with If-Match (InvalidArgument): without If-Match" in err
    proxy.habit = None
    done = place.run("run", DATASET)
    assert done.returncode == 0, done.stderr
    folder = f"pre/fix/argilla/in/{DATASET}/suggestions"
    assert f"s3://lake/{folder}/suggestions.parquet" in done.stdout
    content = client.get_object(Bucket="lake", Key=f"{folder}/suggestions.parquet")["Body"].read()
    rows = pq.read_table(pa.BufferReader(content)).to_pylist()
    texts = warehouse_texts(place.database)
    assert {row["doc_id"] for row in rows} == {f"{DATASET}/plain", f"{DATASET}/emoji"}
    assert all(texts[row["doc_id"]][row["start"] : row["end"]] == row["text"] for row in rows)
    manifest = json.loads(client.get_object(Bucket="lake", Key=f"{folder}/_manifest.json")["Body"].read())
    assert manifest["rows"] == len(rows)
    assert not place.lake.exists()
    dagster_files = b"".join(
        file.read_bytes() for file in (place.folder / "dagster home").rglob("*") if file.is_file()
    )
    for secret in (b"hunter2-secret", MARKER.encode()):
        assert secret not in dagster_files + done.stdout.encode() + done.stderr.encode()
    status, said, problems = preannotate(place, "verify", DATASET)
    assert (status, said.splitlines()[-1], problems) == (0, f"{len(rows)} rows, all right", "")
    own = place.folder / "own preview.html"
    before = len(proxy.requests)
    status, said, problems = preannotate(place, "preview", DATASET, "--output", str(own))
    assert (status, said, problems) == (0, f"{own}\n", "")
    assert {page.doc_id for page in pages_in(own) if page.spans} == {row["doc_id"] for row in rows}
    assert own.stat().st_mode & 0o077 == 0
    assert {line.split()[0] for line in proxy.requests[before:]} <= {"GET", "HEAD"}
