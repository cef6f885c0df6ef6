"""What the steps of ``raw_model_outputs`` share."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from preannotation_assets.inference.planning import ChunkRow
from preannotation_assets.inference.protocol import RequestTemplate
from preannotation_assets.lake import ObjectStore, read_table
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import ChunksManifest
from preannotation_assets.resources.storage import StorageResource

__all__ = ["OutputsBatch"]


@dataclass(frozen=True)
class OutputsBatch:
    """The chunks of a dataset, where they are, and what is asked about them."""

    store: ObjectStore
    storage: StorageResource
    layout: DatasetLayout
    chunks: ChunksManifest
    template: RequestTemplate
    run_id: str

    @property
    def chunks_folder(self) -> str:
        """The folder of the chunks' parts."""
        return self.layout.stage("chunks", self.chunks.version)

    @cached_property
    def rows(self) -> list[ChunkRow]:
        """All chunks of the batch, without their texts."""
        return list(_chunk_rows(self.store, self.chunks_folder, len(self.chunks.part_rows)))


def _chunk_rows(store: ObjectStore, folder: str, parts: int) -> Iterator[ChunkRow]:
    for part in range(parts):
        columns = ("start", "end", "chunk_sha256", "estimated_tokens")
        for row, chunk in enumerate(read_table(store, part_key(folder, part), columns).to_pylist()):
            yield ChunkRow(part=part, row=row, **chunk)
