"""What a cascade came to, in a line."""

from collections import Counter
from collections.abc import Iterator

from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.shown_ids import counted, shown_id

__all__ = ["cascade_lines"]


def cascade_lines(manifest: SuggestionsManifest) -> Iterator[str]:
    """How many chunks and rows are of which model, and what that saved; none without a cascade."""
    account = manifest.cascade
    if account is None:
        return
    kept, asked = (account.chunks_by_model.get(model, 0) for model in (account.model, manifest.model))
    because = f" ({counted(Counter(account.doubted))})" if account.doubted else ""
    yield (
        f"cascade    {kept} chunks kept of {shown_id(account.model)}, {asked} asked of"
        f" {shown_id(manifest.model)}{because}"
    )
    if account.saved_seconds is not None:
        yield f"           about {account.saved_seconds:,.0f} s of server slots saved (docs/cascade.md)"
