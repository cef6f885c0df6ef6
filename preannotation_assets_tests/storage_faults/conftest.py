"""Stores and servers for the tests of faults."""

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

from preannotation_assets.lake import ObjectStore, StoreLocation

__all__ = [
    "aws_environment",
    "bucket",
    "client",
    "local_root",
    "local_store",
    "location",
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

_KINDS = ["local", "s3", "radosgw"]


@pytest.fixture
def local_location(local_root: object) -> StoreLocation:
    return StoreLocation(str(local_root))


@pytest.fixture(params=_KINDS)
def location(request: pytest.FixtureRequest) -> StoreLocation:
    found: StoreLocation = request.getfixturevalue(f"{request.param}_location")
    return found


@pytest.fixture(params=_KINDS)
def store(request: pytest.FixtureRequest) -> ObjectStore:
    found: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return found
