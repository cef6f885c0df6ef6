"""What the steps of ``raw_model_outputs`` share."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from preannotation_assets.asking.planning import ChunkRow
from preannotation_assets.contracts import CHUNKS
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.lake import ObjectStore, read_table_as
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import ChunksManifest
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["OutputsBatch"]


_PLACE_COLUMNS: Final = ("doc_id", "page_num", "chunk_index")
_ROW_COLUMNS: Final = ("start", "end", "chunk_sha256", "estimated_tokens")


@dataclass(frozen=True, slots=True)
class OutputsBatch:
    """The chunks of a dataset, where they are, and what is asked about them.

    ``rows`` are the chunks that are meant, without their texts; ``places`` has a table a part, with the
    doc_id, page_num and chunk_index of all its chunks.
    """

    store: ObjectStore
    storage: StorageResource
    layout: DatasetLayout
    chunks: ChunksManifest
    template: RequestTemplate
    run_id: str
    rows: Sequence[ChunkRow]
    places: Sequence[pa.Table]

    @classmethod
    def read(
        cls,
        store: ObjectStore,
        storage: StorageResource,
        layout: DatasetLayout,
        chunks: ChunksManifest,
        template: RequestTemplate,
        run_id: str,
    ) -> "OutputsBatch":
        """All chunks; here each part of them is read once, and nobody needs more but who asks for the texts.

        Raises:
            StorageError: the chunks cannot be read.
        """
        rows: list[ChunkRow] = []
        places = []
        for part in range(len(chunks.part_rows)):
            key = part_key(layout.stage("chunks", chunks.version), part)
            table = read_table_as(store, key, CHUNKS, (*_PLACE_COLUMNS, *_ROW_COLUMNS))
            places.append(table.select(_PLACE_COLUMNS))
            for row, chunk in enumerate(table.select(_ROW_COLUMNS).to_pylist()):
                rows.append(ChunkRow(part=part, row=row, **chunk))
        return cls(store, storage, layout, chunks, template, run_id, rows, places)

    @property
    def chunks_folder(self) -> str:
        """The folder of the chunks' parts."""
        return self.layout.stage("chunks", self.chunks.version)

    @property
    def own_answers(self) -> str:
        """The folder of the answers that this run gets."""
        return f"{self.layout.answers}/{self.run_id}"

    def second_pass(self, doubtful: Collection[tuple[int, int]]) -> "OutputsBatch":
        """The same batch for a second pass about some of its chunks, given by part and row."""
        return replace(self.only(doubtful), template=self.template.for_second_pass())

    def only(self, chosen: Collection[tuple[int, int]]) -> "OutputsBatch":
        """The same batch with some of its chunks, given by part and row."""
        return replace(self, rows=[chunk for chunk in self.rows if (chunk.part, chunk.row) in chosen])

    def without(self, chosen: Collection[tuple[int, int]]) -> "OutputsBatch":
        """The same batch with its other chunks."""
        return replace(self, rows=[chunk for chunk in self.rows if (chunk.part, chunk.row) not in chosen])
