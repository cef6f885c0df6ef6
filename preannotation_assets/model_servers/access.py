"""What stands before a server, whichever kind it is: Cloudflare Access, and edges that do not wait."""

from collections.abc import Mapping
from typing import Final

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.stream_choice import StreamChoice

__all__ = ["access_headers", "read_secret", "stream_choice", "wants_stream"]

_MOST_STREAMS: Final = 256


def read_secret(environment: Mapping[str, str], variable: str) -> str:
    """What a header is to carry, without white space around it; "" where the variable is not set.

    Raises:
        SettingsError: it has characters that no header can carry. The message does not repeat it.
    """
    secret = environment.get(variable, "").strip()
    if not all("!" <= character <= "~" for character in secret):
        raise SettingsError(f"{variable} is malformed", "it may hold visible ASCII characters only")
    return secret


def access_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The service-token headers of Cloudflare Access, where both variables are set.

    Raises:
        SettingsError: one of them has characters that no header can carry.
    """
    client_id = read_secret(environment, "CF_ACCESS_CLIENT_ID")
    secret = read_secret(environment, "CF_ACCESS_CLIENT_SECRET")
    return (
        {"CF-Access-Client-Id": client_id, "CF-Access-Client-Secret": secret} if client_id and secret else {}
    )


def stream_choice(choice: StreamChoice, max_in_flight: int) -> StreamChoice:
    """What ``auto`` means for an endpoint that is given so many requests at once.

    Only over a stream an answer that does not end is given up early, and a server that writes slowly is not
    taken for a silent one. With more requests than that what a stream costs, processor time for each token,
    adds up.
    """
    is_cheap = max_in_flight <= _MOST_STREAMS
    return StreamChoice.always if choice is StreamChoice.auto and is_cheap else choice


def wants_stream(choice: StreamChoice, endpoint: str) -> bool:
    """Whether to stream: ``auto`` streams over https.

    An edge such as Cloudflare gives up with 524 after 100 s without response headers. Model servers send
    headers with the first token; an answer that is not streamed has them with its last.
    """
    return choice is StreamChoice.always or (choice is StreamChoice.auto and endpoint.startswith("https://"))
