"""When answers are streamed."""

import pytest

from preannotation_assets.model_servers.stream_choice import StreamChoice, streams

HTTP, HTTPS = "http://gpu:11434", "https://gpu.example"


@pytest.mark.parametrize(
    ("choice", "endpoint", "max_in_flight", "expected"),
    [
        (StreamChoice.auto, HTTP, 4, True),
        (StreamChoice.auto, HTTP, 256, True),
        (StreamChoice.auto, HTTP, 257, False),
        (StreamChoice.auto, HTTPS, 257, True),
        (StreamChoice.always, HTTP, 257, True),
        (StreamChoice.never, HTTP, 4, False),
        (StreamChoice.never, HTTPS, 4, False),
    ],
)
def test_an_answer_is_streamed_where_it_is_cheap_or_an_edge_would_not_wait(
    choice: StreamChoice, endpoint: str, max_in_flight: int, expected: bool
) -> None:
    assert streams(choice, endpoint, max_in_flight) is expected
