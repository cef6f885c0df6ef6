"""Stores and servers for the tests of faults."""

from s3_servers.fixtures import *  # noqa: F403
