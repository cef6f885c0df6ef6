"""When answers are streamed."""

from enum import StrEnum

__all__ = ["StreamChoice"]


class StreamChoice(StrEnum):
    """When answers are streamed: ``auto`` decides by the address and the requests in flight.

    Dagster shows and reads the names of an enum where the environment has its values: they are the same.
    """

    auto = "auto"
    always = "always"
    never = "never"
