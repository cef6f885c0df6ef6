"""The texts whose prompts were counted are found again in their chunks."""

import pickle
from pathlib import Path

from shared.short_pages import write_chunks

from preannotation_assets.extraction.token_learning import CountedPrompt
from preannotation_assets.extraction.tokens import tokens_by_kind
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.tasks.count_tokens import CountedText, CountTokens, count_tokens


def test_each_text_is_the_part_of_its_chunk_that_was_asked_about(tmp_path: Path) -> None:
    location = StoreLocation(str(tmp_path))
    write_chunks(open_store(location), "chunks.parquet", ["no numbers here", "Lot 1234567 at Hull 🚢 漢字"])
    texts = [CountedText(1, 4, 11, 90), CountedText(0, 0, 15, 70), CountedText(1, 20, 24, 80)]
    part = count_tokens(pickle.loads(pickle.dumps(CountTokens(location, "chunks.parquet", texts))))
    expected = [("1234567", 90), ("no numbers here", 70), ("🚢 漢字", 80)]
    assert part.prompts == [CountedPrompt(tokens_by_kind(text), tokens) for text, tokens in expected]
    assert part.fetched.requests >= 1
