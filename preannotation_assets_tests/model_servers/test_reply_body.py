"""A reply is read as far as a bound, whatever it is packed in."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.model_servers.reply_body import ReplyBody, UnreadableBodyError

PACKED = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
}


def _read(encoding: str, content: bytes, most_bytes: int, part_bytes: int) -> bytes:
    body = ReplyBody(encoding, most_bytes)
    for start in range(0, len(content), part_bytes):
        body.add(content[start : start + part_bytes])
    return body.whole()


@given(st.binary(max_size=3_000), st.sampled_from(sorted(PACKED)), st.integers(1, 500))
def test_what_was_packed_comes_out_however_it_is_cut(content: bytes, encoding: str, part_bytes: int) -> None:
    packed = PACKED[encoding](content)

    assert _read(encoding, packed, len(content), part_bytes) == content
    if content:
        with pytest.raises(UnreadableBodyError):
            _read(encoding, packed, len(content) - 1, part_bytes)


def test_a_bomb_is_inflated_no_further_than_the_bound() -> None:
    bomb = gzip.compress(bytes(200 * 2**20))
    body = ReplyBody("gzip", 2**20)

    with pytest.raises(UnreadableBodyError):
        body.add(bomb)

    assert len(body.whole_lines()) == 0


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_a_coding_that_nobody_asked_for_is_not_read(encoding: str) -> None:
    with pytest.raises(UnreadableBodyError):
        ReplyBody(encoding, 100)


@pytest.mark.parametrize(
    "content", [b"no gzip at all", gzip.compress(b"cut off" * 100)[:-9]], ids=["no gzip", "cut off"]
)
def test_deflated_bytes_that_are_none_or_lack_their_end_are_not_read(content: bytes) -> None:
    with pytest.raises(UnreadableBodyError):
        _read("gzip", content, 10_000, 7)


def test_of_a_reply_that_is_left_the_whole_lines_are_kept() -> None:
    body = ReplyBody("", 100)
    body.add(b"first\nsecond\nthi")

    assert body.whole_lines() == b"first\nsecond"
