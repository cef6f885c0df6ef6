"""Where the answers to the chunks are, written for the tasks that read them."""

from collections.abc import Iterator, Sequence

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.answer_store.placed_requests import PlacedRequest, write_placed
from preannotation_assets.asking.planning import chunk_request
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch

__all__ = ["place_part"]


def place_part(
    passes: Sequence[tuple[int, OutputsBatch]],
    part: int,
    index: AnswerIndex,
    key: str,
    *,
    names_models: bool = False,
) -> str:
    """Writes where the answers to one part of the chunks are, pass after pass in order; returns the key.

    ``passes`` are batches by the number of the pass, of which no two of one number mean the same chunk.
    Requests without an answer are left out.

    Raises:
        StorageError: the lake cannot be written.
    """
    placed = [
        request
        for number, batch in passes
        for request in _placed(
            number, batch, part, index, model=batch.template.model if names_models else None
        )
    ]
    placed.sort(key=lambda request: (request.pass_number, request.row))
    write_placed(passes[0][1].store, key, placed)
    return key


def _placed(
    pass_number: int, batch: OutputsBatch, part: int, index: AnswerIndex, *, model: str | None
) -> Iterator[PlacedRequest]:
    chunks = batch.part_rows(part)
    places = batch.part_places(part).to_pylist() if chunks else []
    leaves_of_each = index.leaves_of_each(
        chunk_request(chunk, batch.template.fingerprint) for chunk in chunks
    )
    for chunk, leaves in zip(chunks, leaves_of_each, strict=True):
        for request, answer in leaves:
            if answer:
                yield PlacedRequest(
                    **places[chunk.row],
                    pass_number=pass_number,
                    row=chunk.row,
                    start=request.start,
                    end=request.end,
                    request_key=request.request_key,
                    answer=answer,
                    model=model,
                )
