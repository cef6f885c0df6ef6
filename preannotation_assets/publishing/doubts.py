"""What somebody should look at in a publication that breaks no rule."""

from preannotation_assets.extraction.empty_answers import page_doubts
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.losses import loss_words

__all__ = ["doubts"]


def doubts(manifest: SuggestionsManifest) -> list[str]:
    """A line each: nearly all pages are without a mark, or most rows of the publication before are gone."""
    loss = loss_words(manifest.comparison)
    return [*page_doubts(manifest.pages_by_answer), *([loss] if loss else [])]
