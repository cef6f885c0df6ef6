"""What the steps of ``raw_model_outputs`` share."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from preannotation_assets.asking.planning import ChunkRow
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.lake import ObjectStore, read_table
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import ChunksManifest
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["OutputsBatch"]


@dataclass(frozen=True)
class OutputsBatch:
    """The chunks of a dataset, where they are, and what is asked about them.

    ``only`` holds the (part, row) of the chunks that are meant; None means all.
    """

    store: ObjectStore
    storage: StorageResource
    layout: DatasetLayout
    chunks: ChunksManifest
    template: RequestTemplate
    run_id: str
    only: frozenset[tuple[int, int]] | None = None

    @property
    def chunks_folder(self) -> str:
        """The folder of the chunks' parts."""
        return self.layout.stage("chunks", self.chunks.version)

    @property
    def own_answers(self) -> str:
        """The folder of the answers that this run gets."""
        return f"{self.layout.answers}/{self.run_id}"

    @cached_property
    def rows(self) -> list[ChunkRow]:
        """The chunks that are meant, without their texts."""
        rows = _chunk_rows(self.store, self.chunks_folder, len(self.chunks.part_rows))
        return [chunk for chunk in rows if self.only is None or (chunk.part, chunk.row) in self.only]

    def second_pass(self, doubtful: Collection[tuple[int, int]]) -> "OutputsBatch":
        """The same batch for a second pass about some of its chunks."""
        return replace(self, template=self.template.for_second_pass(), only=frozenset(doubtful))


def _chunk_rows(store: ObjectStore, folder: str, parts: int) -> Iterator[ChunkRow]:
    for part in range(parts):
        columns = ("start", "end", "chunk_sha256", "estimated_tokens")
        for row, chunk in enumerate(read_table(store, part_key(folder, part), columns).to_pylist()):
            yield ChunkRow(part=part, row=row, **chunk)
