"""Stores for the tests of the lake."""

import pytest
from s3_servers.fixtures import (
    aws_environment,
    bucket,
    client,
    local_root,
    local_store,
    moto_address,
    proxy,
    radosgw_address,
    radosgw_bucket,
    radosgw_location,
    radosgw_proxy,
    radosgw_store,
    s3_location,
    s3_store,
)

from preannotation_assets.lake import ObjectStore

__all__ = [
    "aws_environment",
    "bucket",
    "client",
    "local_root",
    "local_store",
    "moto_address",
    "proxy",
    "radosgw_address",
    "radosgw_bucket",
    "radosgw_location",
    "radosgw_proxy",
    "radosgw_store",
    "s3_location",
    "s3_store",
    "store",
]


@pytest.fixture(params=["local", "s3", "radosgw"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    found: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return found
