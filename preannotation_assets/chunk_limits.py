"""How large the chunks of a batch may be: as it was first cut, or by what is known of its model's tokens."""

from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.extraction.token_kinds import KindFactors
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.layout import calibration_key
from preannotation_assets.manifests import Calibration, ChunksManifest

__all__ = ["known_factors", "limits_of_batch"]


def limits_of_batch(
    store: ObjectStore, model: str, cut: ChunksManifest | None, chunk_tokens: int, overlap_tokens: int
) -> ChunkLimits:
    """The limits of a batch that was cut as a manifest says, or not yet.

    What was learned since it was cut changes nothing: other borders would be other requests.

    Raises:
        StorageError: the lake cannot be read.
    """
    if cut:
        calibration, factors = cut.calibration, KindFactors.by_name(cut.kind_factors)
    else:
        learned = _learned(store, model)
        calibration = learned.factor if learned else 1.0
        factors = _factors(model, learned)
    return ChunkLimits(chunk_tokens, overlap_tokens, calibration, factors)


def known_factors(store: ObjectStore, model: str) -> KindFactors:
    """What was learned of a model's tokens by kind of character, or else what is presumed of it.

    Raises:
        StorageError: the lake cannot be read.
    """
    return _factors(model, _learned(store, model))


def _learned(store: ObjectStore, model: str) -> Calibration | None:
    learned = read_manifest(store, calibration_key(model), Calibration)
    # Two names may share a key.
    return learned if learned and learned.model == model else None


def _factors(model: str, learned: Calibration | None) -> KindFactors:
    return KindFactors.by_name(learned.kind_factors) if learned else presumed_factors(model)
