"""What the steps of ``raw_model_outputs`` share."""

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

import pyarrow as pa

from preannotation_assets.asking.planning import ChunkRow
from preannotation_assets.contracts import CHUNKS
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.lake import ObjectStore, read_table_as
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.lake.table_spool import TableSpool
from preannotation_assets.manifests import ChunksManifest
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["OutputsBatch"]


_PLACE_COLUMNS: Final = ("doc_id", "page_num", "chunk_index")
_ROW_COLUMNS: Final = ("start", "end", "chunk_sha256", "estimated_tokens")


@dataclass(frozen=True, slots=True)
class OutputsBatch:
    """The chunks of a dataset, where they are, and what is asked about them.

    ``spool`` has a table a part: all of its chunks without their texts. ``meant`` are the rows that are
    meant, by part and in order; None where all are.
    """

    store: ObjectStore
    storage: StorageResource
    layout: DatasetLayout
    chunks: ChunksManifest
    template: RequestTemplate
    run_id: str
    spool: TableSpool
    meant: Mapping[int, Sequence[int]] | None = None

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
            StorageError: the chunks cannot be read, or there is no room for temporary files.
        """
        spool = TableSpool()
        for part in range(len(chunks.part_rows)):
            key = part_key(layout.stage("chunks", chunks.version), part)
            spool.append(read_table_as(store, key, CHUNKS, (*_PLACE_COLUMNS, *_ROW_COLUMNS)))
        return cls(store, storage, layout, chunks, template, run_id, spool)

    @property
    def chunks_folder(self) -> str:
        """The folder of the chunks' parts."""
        return self.layout.stage("chunks", self.chunks.version)

    @property
    def own_answers(self) -> str:
        """The folder of the answers that this run gets."""
        return f"{self.layout.answers}/{self.run_id}"

    @property
    def chunk_count(self) -> int:
        """How many chunks are meant."""
        return sum(len(self._meant(part)) for part in range(len(self.spool)))

    def means(self, part: int, row: int) -> bool:
        """Whether a chunk is meant."""
        return row in self._meant(part)

    def new_plan(self) -> str:
        """A folder that nobody has used, for files that tell tasks what to do."""
        return f"{self.layout.stage('plans', self.run_id)}/{uuid4()}"

    def rows(self) -> Iterator[ChunkRow]:
        """The chunks that are meant, in order; those of one part are in memory at a time."""
        for part in range(len(self.spool)):
            yield from self.part_rows(part)

    def part_rows(self, part: int) -> list[ChunkRow]:
        """Those of one part."""
        meant = self._meant(part)
        if not meant:
            return []
        columns = (column.to_pylist() for column in self.spool.read(part).select(_ROW_COLUMNS).columns)
        rows = [ChunkRow(part, row, *values) for row, values in enumerate(zip(*columns, strict=True))]
        return [rows[row] for row in meant]

    def part_places(self, part: int) -> pa.Table:
        """The doc_id, page_num and chunk_index of all chunks of one part."""
        return self.spool.read(part).select(_PLACE_COLUMNS)

    def second_pass(self, doubtful: Mapping[int, Collection[int]]) -> "OutputsBatch":
        """The same batch for a second pass about some of its chunks, given by part and row."""
        return replace(self.only(doubtful), template=self.template.for_second_pass())

    def only(self, chosen: Mapping[int, Collection[int]]) -> "OutputsBatch":
        """The same batch with some of its chunks, given by part and row."""
        return self._with({part: self._meant(part) for part in sorted(chosen)}, chosen, is_in=True)

    def without(self, chosen: Mapping[int, Collection[int]]) -> "OutputsBatch":
        """The same batch with its other chunks."""
        every = {part: self._meant(part) for part in range(len(self.spool))}
        return self._with(every, chosen, is_in=False)

    def _with(
        self, rows: Mapping[int, Sequence[int]], chosen: Mapping[int, Collection[int]], *, is_in: bool
    ) -> "OutputsBatch":
        meant = {}
        for part, of_part in rows.items():
            found = frozenset(chosen.get(part, ()))
            # Four bytes a chunk.
            meant[part] = array("i", (row for row in of_part if (row in found) is is_in))
        return replace(self, meant={part: of_part for part, of_part in meant.items() if of_part})

    def _meant(self, part: int) -> Sequence[int]:
        if self.meant is None:
            return range(self.chunks.part_rows[part])
        return self.meant.get(part, ())
