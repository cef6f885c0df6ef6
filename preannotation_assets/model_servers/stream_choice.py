"""When answers are streamed."""

from enum import StrEnum
from typing import Final

__all__ = ["StreamChoice", "streams"]

_MOST_STREAMS: Final = 256


class StreamChoice(StrEnum):
    """When answers are streamed: ``auto`` decides by the address and the requests in flight.

    Dagster shows and reads the names of an enum where the environment has its values: they are the same.
    """

    auto = "auto"
    always = "always"
    never = "never"


def streams(choice: StreamChoice, endpoint: str, max_in_flight: int) -> bool:
    """Whether the answers of an endpoint are streamed that is given so many requests at once.

    ``auto`` streams over https: an edge such as Cloudflare gives up with 524 after 100 s without response
    headers, which model servers send with the first token, and with the last one where they do not stream.
    Elsewhere it streams as long as that is cheap: only over a stream an answer that does not end is given up
    early, and a server that writes slowly is not taken for a silent one; but it costs processor time for each
    token, which adds up.
    """
    if choice is StreamChoice.auto:
        return endpoint.startswith("https://") or max_in_flight <= _MOST_STREAMS
    return choice is StreamChoice.always
