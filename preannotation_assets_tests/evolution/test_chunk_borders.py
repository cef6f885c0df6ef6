"""Where pages are cut, as literals: other borders are other requests, and all of them would be asked anew."""

import hashlib
from collections.abc import Iterable

import pytest
from evolution.frozen_lake import ChunkLimits, KindFactors, chunk_page, sample_pages
from evolution.pages_for_freezing import PAGES

# What manifests of batches hold that were cut when Arabic, Hebrew and Vietnamese were one kind.
LEARNED = KindFactors.by_name({"digits": 2.9, "words": 0.85, "other_scripts": 0.55, "signs": 1.2})


def _borders(texts: Iterable[str], limits: ChunkLimits) -> str:
    found = [[(chunk.start, chunk.end) for chunk in chunk_page(text, limits)] for text in texts]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("limits", "of_demo", "of_frozen"),
    [
        pytest.param(ChunkLimits(), "0b74ab096f9be40f", "e80d9695c098f21a", id="the usual"),
        pytest.param(ChunkLimits(600, 60), "debda9d2986750a0", "9e40c275e25894f5", id="small"),
        pytest.param(ChunkLimits(100, 20), "7f2c5afab7d066b3", "f0d5f1784d2484f5", id="smallest"),
        pytest.param(
            ChunkLimits(300, 40, 1.12, LEARNED), "b39c498e9eca6d6b", "c66609b23ccab928", id="learned"
        ),
    ],
)
def test_pages_in_latin_letters_keep_their_borders(limits: ChunkLimits, of_demo: str, of_frozen: str) -> None:
    demo = [page.text for page in sample_pages()]
    assert (_borders(demo, limits), _borders(PAGES.values(), limits)) == (of_demo, of_frozen)
