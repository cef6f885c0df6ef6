"""How ``raw_model_outputs`` puts the answers from the store beside their chunks."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, RequestSpan
from preannotation_assets.asking.planning import ChunkRow, chunk_request
from preannotation_assets.contracts import FIRST_PASS, RAW_MODEL_OUTPUTS, SECOND_PASS
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.stage_code import stage_code
from preannotation_assets.errors import InferenceError
from preannotation_assets.lake.batch import read_manifest, sweep_stage, write_manifest
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import CascadeAccount, RawModelOutputsManifest
from preannotation_assets.model_servers.preflight import ModelIdentity
from preannotation_assets.tasks.collect_answers import CollectAnswers, CollectedPart, collect_answers
from preannotation_assets.tasks.engine import TaskEngine, Watch

__all__ = ["COLLECTING_CODE", "CascadeOutcome", "Collected", "SmallShare", "collect", "keep"]

COLLECTING_CODE: Final = stage_code("tasks.collect_answers", RAW_MODEL_OUTPUTS)


@dataclass(frozen=True, slots=True)
class SmallShare:
    """The chunks of which a cascade's small model has the answer that stands, with its second pass.

    ``cascade_version`` is the model version of what is made of both models' answers.
    """

    first: OutputsBatch
    second: OutputsBatch | None
    cascade_version: str


@dataclass(frozen=True, slots=True)
class CascadeOutcome:
    """What a cascade came to, and the model version of what is made of both models' answers."""

    account: CascadeAccount
    model_version: str


@dataclass(frozen=True, slots=True)
class Collected:
    """The answers beside their chunks; ``present`` and no parts where the last run had the same."""

    version: str
    parts: Sequence[CollectedPart]
    present: RawModelOutputsManifest | None

    @property
    def unfit(self) -> dict[str, int]:
        """When the answers came that fit no label, by request key, microseconds.

        The store has them as answers, because that is what they were taken for by the code of that time.
        """
        return {key: answered_at for part in self.parts for key, answered_at in part.unfit.items()}


def collect(
    batch: OutputsBatch,
    second: OutputsBatch | None,
    small: SmallShare | None,
    index: AnswerIndex,
    engine: TaskEngine,
    watch: Watch,
) -> Collected:
    """Puts the answers beside their chunks, where something has changed.

    ``second`` is the second pass, where there is one; ``small`` are the chunks with the answer of a cascade's
    small model, where there is a cascade.

    Raises:
        InferenceError: a chunk was not asked.
    """
    passes = [(FIRST_PASS, batch), (SECOND_PASS, second)]
    if small:
        passes += [(FIRST_PASS, small.first), (SECOND_PASS, small.second)]
    placed = [chunk for number, each in passes if each for chunk in _place(number, each, index)]
    version = _version(batch, small, placed)
    present = read_manifest(
        batch.store, batch.layout.stage_manifest("raw_model_outputs"), RawModelOutputsManifest
    )
    if present and present.version == version:
        return Collected(version, [], present)
    folder = batch.layout.stage("raw_model_outputs", version)
    by_part: dict[int, list[_Placed]] = {part: [] for part in range(len(batch.chunks.part_rows))}
    for chunk in placed:
        by_part[chunk.row.part].append(chunk)
    tasks = [
        _collect_part(batch, part, chunks, folder, names_models=small is not None)
        for part, chunks in by_part.items()
    ]
    return Collected(version, engine.run(tasks, collect_answers, watch), None)


def keep(
    batch: OutputsBatch,
    identity: ModelIdentity,
    collected: Collected,
    cascade: CascadeOutcome | None,
) -> RawModelOutputsManifest:
    """Makes what was collected the stage's content; the manifest stays when nothing has changed.

    ``batch`` is all of it, also what a cascade asked of its small model.

    Raises:
        InferenceError: every request failed.
    """
    if collected.present:
        return collected.present
    parts = collected.parts
    manifest = RawModelOutputsManifest(
        dataset=batch.layout.dataset,
        version=collected.version,
        pages_version=batch.chunks.pages_version,
        chunks_version=batch.chunks.version,
        model=identity.model,
        model_digest=identity.digest,
        model_version=cascade.model_version if cascade else batch.template.model_version,
        prompt_version=batch.template.prompt.version,
        request_fingerprint=batch.template.fingerprint,
        part_rows=[part.rows for part in parts],
        answered=sum(part.answered for part in parts),
        failed=sum(part.failed for part in parts),
        second_answered=sum(part.second_answered for part in parts),
        second_failed=sum(part.second_failed for part in parts),
        model_notes=list(identity.notes),
        empty_answers=sum(part.empty for part in parts),
        cascade=cascade.account if cascade else None,
    )
    if manifest.failed and not manifest.answered:
        reasons = ", ".join(sorted({reason for part in parts for reason in part.failure_reasons}))
        raise InferenceError(
            f"all {manifest.failed} requests failed ({reasons})", "look at the model server's log"
        )
    write_manifest(batch.store, batch.layout.stage_manifest("raw_model_outputs"), manifest)
    sweep_stage(batch.store, batch.layout, "raw_model_outputs", collected.version)
    return manifest


@dataclass(frozen=True, slots=True)
class _Placed:
    """A chunk with the requests that stand for it in one pass."""

    pass_number: int
    model: str
    row: ChunkRow
    leaves: Sequence[tuple[RequestSpan, IndexedAnswer | None]]


def _place(pass_number: int, batch: OutputsBatch, index: AnswerIndex) -> Iterator[_Placed]:
    for chunk in batch.rows:
        request = chunk_request(chunk, batch.template.fingerprint)
        yield _Placed(pass_number, batch.template.model, chunk, list(index.leaves(request)))


def _version(batch: OutputsBatch, small: SmallShare | None, placed: Sequence[_Placed]) -> str:
    """A hash of what the parts will hold.

    Raises:
        InferenceError: a chunk was not asked, which means that the run was stopped.
    """
    made_of = [COLLECTING_CODE, batch.chunks.version, batch.template.fingerprint]
    if small:
        made_of.append(small.cascade_version)
    content = hashlib.sha256(repr(tuple(made_of)).encode())
    for chunk in placed:
        for request, answer in chunk.leaves:
            if answer is None:
                raise InferenceError("not every chunk was asked", "materialize raw_model_outputs again")
            asked = (chunk.pass_number, request.start, request.end, request.request_key)
            content.update(repr((*asked, answer.answered_at)).encode())
    return content.hexdigest()[:16]


def _collect_part(
    batch: OutputsBatch, part: int, placed: Sequence[_Placed], folder: str, *, names_models: bool
) -> CollectAnswers:
    return CollectAnswers(
        location=batch.storage.location(),
        chunks=batch.places[part],
        outputs_key=part_key(folder, part),
        passes=_requests(placed, batch.chunks.part_rows[part]),
        answers={
            request.request_key: answer for chunk in placed for request, answer in chunk.leaves if answer
        },
        labels=batch.template.prompt.labels,
        run_id=batch.run_id,
        models={chunk.row.row: chunk.model for chunk in placed} if names_models else {},
    )


def _requests(placed: Sequence[_Placed], rows: int) -> dict[int, list[list[RequestSpan]]]:
    """For every pass and every row of a part, the requests that stand for it."""
    passes: dict[int, list[list[RequestSpan]]] = {}
    for chunk in placed:
        by_row = passes.setdefault(chunk.pass_number, [[] for _ in range(rows)])
        by_row[chunk.row.row] = [request for request, _ in chunk.leaves]
    return passes
