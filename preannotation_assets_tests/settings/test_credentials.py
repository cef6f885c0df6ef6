"""Secrets where they do not belong."""

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.settings.credentials import holds_credentials


@given(st.text(max_size=20), st.text("?&;:/@=ab", max_size=40), st.sampled_from(["token", "", "key"]))
def test_an_address_with_a_user_is_seen_whatever_stands_around_it(
    before: str, behind: str, name: str
) -> None:
    assert holds_credentials(f"{before}x://user@{behind}")
    assert holds_credentials(f"{before}x://user%40{behind}")
    assert holds_credentials(f"{before}?{name}secret=x{behind}")


def test_a_long_text_is_looked_at_once() -> None:
    for text in ("://" * 50_000, "?" + "token" * 50_000, "?a=" * 50_000):
        holds_credentials(text)
