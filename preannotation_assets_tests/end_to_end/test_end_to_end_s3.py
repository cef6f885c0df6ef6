"""The main job with its lake on an S3-compatible server."""

import json
from collections.abc import Callable
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from moto.server import ThreadedMotoServer

from end_to_end.user_place import DATASET, MARKER, PAGES, REPORT, make_place, warehouse_texts
from preannotation_assets.simulator import RunningSimulator


def test_a_lake_on_s3(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        place = make_place(
            tmp_path / "user", {"plain": REPORT, "emoji": PAGES["emoji"], "empty": ""}, simulator.url
        )
        place.environment.update(
            PREANNOTATION_ROOT="s3://lake/pre/fix",
            AWS_ENDPOINT_URL=url,
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="hunter2-secret",
            AWS_DEFAULT_REGION="us-east-1",
        )
        status, _, err = preannotate(place, "run", DATASET)
        assert (status, err.count("\n")) == (1, 1)
        assert "s3://lake" in err
        client = boto3.session.Session("testing", "testing", region_name="us-east-1").client(
            "s3", endpoint_url=url
        )
        client.create_bucket(Bucket="lake")
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
    finally:
        server.stop()
