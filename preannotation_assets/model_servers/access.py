"""What stands before a server, whichever kind it is: Cloudflare Access, and edges that do not wait."""

from collections.abc import Mapping
from typing import Final

from preannotation_assets.model_servers.stream_choice import StreamChoice

__all__ = ["access_headers", "stream_choice", "wants_stream"]

_FEW_SLOTS: Final = 16


def access_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The service-token headers of Cloudflare Access, where both variables are set."""
    client_id = environment.get("CF_ACCESS_CLIENT_ID", "")
    secret = environment.get("CF_ACCESS_CLIENT_SECRET", "")
    return (
        {"CF-Access-Client-Id": client_id, "CF-Access-Client-Secret": secret} if client_id and secret else {}
    )


def stream_choice(choice: StreamChoice, max_in_flight: int) -> StreamChoice:
    """What ``auto`` means for an endpoint that is given so many requests at once.

    An answer that does not end is given up early only over a stream. Of a few slots it would hold one for
    minutes; of hundreds it holds little, and a stream costs processor time for each token.
    """
    few = max_in_flight <= _FEW_SLOTS
    return StreamChoice.always if choice is StreamChoice.auto and few else choice


def wants_stream(choice: StreamChoice, endpoint: str) -> bool:
    """Whether to stream: ``auto`` streams over https.

    An edge such as Cloudflare gives up with 524 after 100 s without response headers. Model servers send
    headers with the first token; an answer that is not streamed has them with its last.
    """
    return choice is StreamChoice.always or (choice is StreamChoice.auto and endpoint.startswith("https://"))
