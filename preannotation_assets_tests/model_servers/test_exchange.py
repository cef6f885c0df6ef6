"""What counts as a reply of a model server."""

import pytest

from preannotation_assets.model_servers.exchange import Exchange


@pytest.mark.parametrize(
    ("media_type", "is_reply"),
    [
        ("application/json", True),
        # Media types are the same in capitals (RFC 9110, 8.3.1).
        ("Application/JSON; charset=UTF-8", True),
        ("text/event-stream; charset=utf-8", True),
        ("text/html", False),
        ("", False),
    ],
)
def test_a_reply_is_known_by_its_media_type(media_type: str, is_reply: bool) -> None:
    exchange = Exchange("http://a", 0.0, 0.0, None, 200, {"content-type": media_type})
    assert exchange.is_reply is is_reply
