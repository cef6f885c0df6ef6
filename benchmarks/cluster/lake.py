"""A lake on a machine of its own: moto's S3 server in a process there."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import BotoCoreError
from shared.network_namespaces import Machine

from benchmarks.cluster.batches import DATASET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["CREDENTIALS", "has_answers_beside_chunks", "lake_on", "published_there", "puts"]

_PORT: Final = "5000"
_LOG: Final = "lake.txt"
# As the server writes them, with seconds of local time.
_PUT: Final = re.compile(r"\[(?P<time>[^][]+)\] \"PUT (?P<path>\S+) HTTP/1\.1\" 200")
_START_SECONDS: Final = 120.0
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""What moto takes, for the environment of driver and executors."""


@contextmanager
def lake_on(machine: Machine, folder: Path) -> Iterator[str]:
    """Serves a bucket ``lake`` for the time of the block; gives the address."""
    main = "import sys; from moto.server import main; main(sys.argv[1:])"
    command = [*machine.before, sys.executable, "-c", main, "-H", machine.host, "-p", _PORT]
    address = f"http://{machine.host}:{_PORT}"
    with (
        (folder / _LOG).open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            _make_bucket(address)
            yield address
        finally:
            process.terminate()


def published_there(address: str) -> dict[str, Any]:
    """The published manifest."""
    key = f"here/argilla/in/{DATASET}/suggestions/_manifest.json"
    body = _client(address).get_object(Bucket="lake", Key=key)["Body"].read()
    manifest: dict[str, Any] = json.loads(body)
    return manifest


def has_answers_beside_chunks(address: str) -> bool:
    """Whether all is asked: grounding is next."""
    key = f"here/argilla/work/{DATASET}/raw_model_outputs/manifest.json"
    listed = _client(address).list_objects_v2(Bucket="lake", Prefix=key)
    return listed["KeyCount"] > 0


def puts(folder: Path, word: str) -> list[float]:
    """When objects with a word in their key were written, in seconds since the Unix epoch, to a second."""
    log = (folder / _LOG).read_text("utf-8", "replace")
    return [
        time.mktime(time.strptime(found["time"], "%d/%b/%Y %H:%M:%S"))
        for found in _PUT.finditer(log)
        if word in found["path"]
    ]


def _make_bucket(address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            _client(address).create_bucket(Bucket="lake")
        except BotoCoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _client(address: str) -> "S3Client":
    session = boto3.session.Session(
        CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
    )
    return session.client("s3", endpoint_url=address)
