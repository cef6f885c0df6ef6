"""The pages of a dataset that are tried, and how a run would cut them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from preannotation_assets.chunk_limits import limits_of_batch
from preannotation_assets.errors import BatchError
from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.pages import PageRow, SourceRow, check_pages
from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import ChunksManifest
from preannotation_assets.settings import Settings
from preannotation_assets.trying.survey import BatchSize, PageSample, SizeCount, survey

__all__ = ["OpenPages", "PageSource", "chunk_limits", "survey_batch"]


class PageSource(Protocol):
    """Where the pages of a dataset are read."""

    def read_pages(self, dataset: str) -> Iterator[SourceRow]:
        """The rows of a dataset, sorted by doc_id and page_num."""
        ...


OpenPages = Callable[[], AbstractContextManager[PageSource]]
"""Opens the warehouse; called where a dataset is tried, and not for a text file."""


def survey_batch(
    open_pages: OpenPages,
    dataset: str,
    sample: PageSample,
    size: SizeCount,
    is_wanted: Callable[[PageRow], bool],
) -> tuple[BatchSize, list[PageRow]]:
    """The size of the batch and the pages to ask about, in one pass.

    Raises:
        BatchError: the dataset has no pages, or none that is wanted has text.
    """
    with open_pages() as source:
        survey(_good_pages(source.read_pages(dataset)), sample, size, is_wanted)
    total, pages = size.total(), sample.pages()
    if not total.pages:
        raise BatchError(f"the warehouse has no pages of {dataset}", "check the name of the dataset")
    if not pages:
        raise BatchError(f"no such page of {dataset} has text", "check --doc-id and --page")
    return total, pages


def chunk_limits(settings: Settings, store: ObjectStore, dataset: str) -> ChunkLimits:
    """As the asset ``chunks`` has them; without a dataset, for which no lake is read, by what is presumed."""
    model, chunking = settings.generation.model, settings.chunking
    tokens, overlap = chunking.chunk_tokens, chunking.overlap_tokens
    if not dataset:
        return ChunkLimits(tokens, overlap, kind_factors=presumed_factors(model))
    cut = read_manifest(store, DatasetLayout(dataset).stage_manifest("chunks"), ChunksManifest)
    return limits_of_batch(store, model, cut, tokens, overlap)


def _good_pages(rows: Iterable[SourceRow]) -> Iterator[PageRow]:
    return (page for page in check_pages(rows) if isinstance(page, PageRow))
