"""Stores and servers for the tests of the lake."""

from s3_servers.fixtures import *  # noqa: F403
