"""What ``raw_model_outputs`` learns of the model's tokenizer from the server's counts."""

import math
from collections.abc import Sequence
from typing import Final

from preannotation_assets.chunk_limits import known_factors
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.extraction.token_learning import FEWEST_PROMPTS, learn_tokens
from preannotation_assets.lake import FetchedBytes
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import calibration_key, part_key
from preannotation_assets.manifests import Calibration
from preannotation_assets.tasks.collect_answers import CollectedPart
from preannotation_assets.tasks.count_tokens import CountTokens, count_tokens

__all__ = ["learn_calibration"]

# Each part that is learned from is fetched once more.
_PARTS_LEARNED_FROM: Final = 8


def learn_calibration(
    batch: OutputsBatch, parts: Sequence[CollectedPart], spark: SparkResource
) -> FetchedBytes:
    """Keeps what the server's token counts teach, for the chunks of later batches; what was fetched for it.

    Of the parts only the chunks of ``batch`` teach: another model, which may have answered about others,
    counts in its own way.

    Raises:
        StorageError: the lake cannot be read or written.
    """
    counted_by_part = [
        [text for text in part.counted if batch.means(index, text.row)] for index, part in enumerate(parts)
    ]
    if sum(map(len, counted_by_part)) < FEWEST_PROMPTS:
        return FetchedBytes()
    tasks = [
        CountTokens(batch.storage.location(), part_key(batch.chunks_folder, index), texts)
        for index, texts in enumerate(counted_by_part)
        if texts
    ]
    tasks = tasks[:: math.ceil(len(tasks) / _PARTS_LEARNED_FROM)]
    counted = spark.run(tasks, count_tokens)
    prompts = [prompt for part in counted for prompt in part.prompts]
    model, key = batch.template.model, calibration_key(batch.template.model)
    before = known_factors(batch.store, model)
    learned = learn_tokens(prompts, batch.template.prompt.constant_tokens_by_kind(), before)
    if learned is not None:
        calibration = Calibration(
            model=model,
            factor=learned.calibration,
            requests=len(prompts),
            kind_factors=learned.kind_factors.named(),
        )
        write_manifest(batch.store, key, calibration)
    return sum((part.fetched for part in counted), FetchedBytes())
