"""How ``raw_model_outputs`` puts the answers from the store beside their chunks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.asking.planning import Survey
from preannotation_assets.contracts import RAW_MODEL_OUTPUTS
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.assets.raw_model_outputs.placing import place_part
from preannotation_assets.defs.stage_code import stage_code
from preannotation_assets.errors import InferenceError
from preannotation_assets.lake.batch import read_manifest, remove_plans, sweep_stage, write_manifest
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import CascadeAccount, RawModelOutputsManifest
from preannotation_assets.model_servers.preflight import ModelIdentity
from preannotation_assets.tasks.collect_answers import CollectAnswers, CollectedPart, collect_answers
from preannotation_assets.tasks.engine import TaskEngine, Watch

__all__ = ["COLLECTING_CODE", "CascadeOutcome", "Collected", "SmallShare", "SurveyedPass", "collect", "keep"]

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


@dataclass(frozen=True, slots=True)
class SurveyedPass:
    """The chunks of a pass, and what the answer store has of them by now."""

    number: int
    batch: OutputsBatch
    survey: Survey


def collect(
    passes: Sequence[SurveyedPass],
    cascade_version: str | None,
    index: AnswerIndex,
    engine: TaskEngine,
    watch: Watch,
) -> Collected:
    """Puts the answers beside their chunks, where something has changed.

    ``passes`` are the first, and where there is one the second; behind them those of a cascade's small model,
    whose ``cascade_version`` is None without one.

    Raises:
        InferenceError: a chunk was not asked.
    """
    batch, names_models = passes[0].batch, cascade_version is not None
    version = _version(passes, cascade_version)
    present = read_manifest(
        batch.store, batch.layout.stage_manifest("raw_model_outputs"), RawModelOutputsManifest
    )
    if present and present.version == version:
        return Collected(version, [], present)
    outputs, plan = batch.layout.stage("raw_model_outputs", version), batch.new_plan()
    batches = [(one.number, one.batch) for one in passes]
    tasks = [
        CollectAnswers(
            location=batch.storage.location(),
            plan_key=place_part(batches, part, index, part_key(plan, part), names_models=names_models),
            outputs_key=part_key(outputs, part),
            labels=batch.template.prompt.labels,
            run_id=batch.run_id,
        )
        for part in range(len(batch.spool))
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
    remove_plans(batch.store, batch.layout, batch.run_id)
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


def _version(passes: Sequence[SurveyedPass], cascade_version: str | None) -> str:
    """A hash of what the parts will hold.

    Raises:
        InferenceError: a chunk was not asked, which means that the run was stopped.
    """
    states = [(one.number, one.survey.state) for one in passes]
    if any(state is None for _, state in states):
        raise InferenceError("not every chunk was asked", "materialize raw_model_outputs again")
    batch = passes[0].batch
    made_of = (COLLECTING_CODE, batch.chunks.version, batch.template.fingerprint, cascade_version, states)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
