"""How ``raw_model_outputs`` asks a cascade's small model first, and what is left for the large one."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.contracts import FIRST_PASS, SECOND_PASS
from preannotation_assets.defs.assets.raw_model_outputs.asking import AskingAccount, AskingRun
from preannotation_assets.defs.assets.raw_model_outputs.asking_pass import ask_pass
from preannotation_assets.defs.assets.raw_model_outputs.collecting import (
    CascadeOutcome,
    Collected,
    SmallShare,
    SurveyedPass,
)
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.assets.raw_model_outputs.placing import place_part
from preannotation_assets.defs.assets.raw_model_outputs.second_pass import second_pass
from preannotation_assets.defs.resources.cascade import CascadeResource
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.errors import InferenceError, ModelError, SettingsError
from preannotation_assets.extraction.argilla_rules import MOST_AGENT_CHARACTERS, agent_of, is_agent
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.cascade import CHOSEN_DOUBTS, CascadeRule, cascade_version
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.lake import FetchedBytes, ObjectStore
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import CascadeAccount
from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.model_servers.preflight import ModelIdentity
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.publishing.calibrations import CALIBRATED_CHARACTERS
from preannotation_assets.tasks.select_for_cascade import SelectForCascade, select_for_cascade
from preannotation_assets.visible_text import visible_line

__all__ = ["CascadeChoice", "SmallModel", "ask_small_model", "cascade_outcome", "find_small_model"]


@dataclass(frozen=True, slots=True)
class SmallModel:
    """A cascade's small model, found at its servers, and what decides about its answers."""

    server: ModelServerResource
    access: ModelAccess
    identity: ModelIdentity
    template: RequestTemplate
    scheme: LabelScheme
    rule: CascadeRule
    calibration: Calibration | None

    def cascade_version(self, large: RequestTemplate) -> str:
        """The model version of what is made of both models' answers."""
        return cascade_version(
            large.model_version, self.template.model, self.template.digest, self.rule, self.calibration
        )


@dataclass(frozen=True, slots=True)
class CascadeChoice:
    """What was asked of the small model, and what is left for the large one.

    ``large`` are the chunks that the large model is asked about, ``share`` those of which the small one's
    answer stands; ``doubted`` counts the former by what spoke against it. ``passes`` are what the small one
    had to answer, chunks of both kinds. An account is None where nothing was asked. ``kept_seconds`` and
    ``doubted_seconds`` are what the small model's slots took for either kind, None where a server did not
    tell; ``fetched`` is what it took to judge its answers.
    """

    small: SmallModel
    share: SmallShare
    large: OutputsBatch
    passes: Sequence[OutputsBatch]
    doubted: Mapping[str, int]
    first: AskingAccount | None
    second: AskingAccount | None
    kept_seconds: float | None
    doubted_seconds: float | None
    fetched: FetchedBytes


def find_small_model(
    cascade: CascadeResource,
    large: ModelServerResource,
    template: RequestTemplate,
    scheme: LabelScheme,
    store: ObjectStore,
) -> SmallModel | None:
    """Preflight of the small model, before anything is asked; None where there is no cascade.

    ``template`` is the large model's: what is asked is the same.

    Raises:
        InferenceError: in one line, what stands in the way.
        SettingsError: both models are one, or the calibration is not there.
        StorageError: the calibration cannot be read.
    """
    if not cascade.is_on:
        return None
    server = cascade.small_server(large)
    access = server.access()
    identity = _identify(access, cascade.model)
    if identity.digest == template.digest:
        raise SettingsError(
            f"{cascade.model} and {template.model} are the same weights",
            "set PREANNOTATION_CASCADE_MODEL to a smaller model, or take it away",
        )
    small = SmallModel(
        server=server,
        access=access.for_identity(identity),
        identity=identity,
        template=access.template(identity, template.prompt),
        scheme=scheme,
        rule=cascade.rule(),
        calibration=cascade.load_calibration(store),
    )
    _require_agent(template, small)
    return small


def _identify(access: ModelAccess, model: str) -> ModelIdentity:
    """The small model at its servers; what stands in the way names it, because two models are asked."""
    try:
        return access.identify(os.environ)
    except InferenceError as error:
        cure = "look at PREANNOTATION_CASCADE_MODEL and PREANNOTATION_CASCADE_URLS"
        told = f"the model to ask first, {visible_line(model)}: {error.problem}"
        type(error)(told, f"{cure}; {error.cure}" if error.cure else cure).raise_alone()


def _require_agent(large: RequestTemplate, small: SmallModel) -> None:
    """Makes sure that Argilla takes suggestions in the name of both models, also with a calibration.

    Raises:
        ModelError: their names are too long together.
    """
    agent = agent_of(large.model, small.cascade_version(large))
    too_many = len(agent) + CALIBRATED_CHARACTERS - MOST_AGENT_CHARACTERS
    if too_many > 0 or not is_agent(agent):
        raise ModelError(
            f"Argilla takes no suggestions of {visible_line(large.model)!r} and"
            f" {visible_line(small.template.model)!r} together: {max(0, too_many)} characters too many",
            "give them shorter names of letters, digits and _:./- at their servers",
        )


def ask_small_model(run: AskingRun, batch: OutputsBatch, small: SmallModel, since: int) -> CascadeChoice:
    """Asks the small model about all chunks of the large one's batch, and judges its answers.

    Raises:
        InferenceError: the run was stopped; what was answered is kept.
        StorageError: the lake cannot be read or written.
    """
    log = run.log
    log.info(f"{small.template.model} is asked first, {batch.template.model} where its answer is doubtful")
    run = replace(run, model_server=small.server, access=small.access)
    own = replace(batch, template=small.template)
    index = AnswerIndex.read(batch.store, batch.layout.answers, since=since)
    first, surveyed = ask_pass(run, FIRST_PASS, own, index, since)
    again = second_pass(own, index, run.engine, small.server)
    second, passes = None, [surveyed]
    if again.batch:
        second, of_second = ask_pass(run, SECOND_PASS, again.batch, index, since, is_warm=first is not None)
        passes.append(of_second)
    parts = run.engine.run(_tasks(small, passes, index), select_for_cascade)
    doubts = {part: selected.doubts for part, selected in enumerate(parts) if selected.doubts}
    choice = CascadeChoice(
        small=small,
        share=SmallShare(
            first=own.without(doubts),
            second=again.batch.without(doubts) if again.batch else None,
            cascade_version=small.cascade_version(batch.template),
        ),
        large=batch.only(doubts),
        passes=[own, again.batch] if again.batch else [own],
        doubted=dict(Counter(doubt.value for of_part in doubts.values() for doubt in of_part.values())),
        first=first,
        second=second,
        kept_seconds=_sum(part.kept_seconds for part in parts),
        doubted_seconds=_sum(part.doubted_seconds for part in parts),
        fetched=sum((part.fetched for part in parts), again.fetched),
    )
    log.info(
        f"the answers of {small.template.model} stand for {choice.share.first.chunk_count} chunks,"
        f" {batch.template.model} is asked about {choice.large.chunk_count}"
    )
    return choice


def cascade_outcome(choice: CascadeChoice, collected: Collected) -> CascadeOutcome:
    """What the cascade came to, for the manifest."""
    small, large = choice.small, choice.large
    doubts = sorted(CHOSEN_DOUBTS - small.rule.left_out)
    account = CascadeAccount(
        model=small.template.model,
        model_digest=small.template.digest,
        threshold=small.rule.threshold,
        doubts=[doubt.value for doubt in doubts],
        calibration=small.calibration.content_hash if small.calibration else None,
        chunks_by_model={
            small.template.model: choice.share.first.chunk_count,
            large.template.model: large.chunk_count,
        },
        doubted=dict(choice.doubted),
        small_seconds=_rounded(_sum((choice.kept_seconds, choice.doubted_seconds))),
        saved_seconds=_rounded(_saved_seconds(choice, collected)),
    )
    return CascadeOutcome(account, choice.share.cascade_version)


def _saved_seconds(choice: CascadeChoice, collected: Collected) -> float | None:
    """The large model is taken to be as much slower for the kept chunks as it is for the others."""
    model = choice.large.template.model
    large = _sum(part.seconds_by_model.get(model, 0.0) for part in collected.parts)
    kept, doubted = choice.kept_seconds, choice.doubted_seconds
    if not large or not doubted or kept is None:
        return None
    return kept * large / doubted - kept - doubted


def _tasks(small: SmallModel, passes: Sequence[SurveyedPass], index: AnswerIndex) -> list[SelectForCascade]:
    """One for each part of the chunks.

    Raises:
        InferenceError: a chunk was not asked, which means that the run was stopped.
    """
    if any(one.survey.state is None for one in passes):
        raise InferenceError("not every chunk was asked", "materialize raw_model_outputs again")
    own, batches = passes[0].batch, [(one.number, one.batch) for one in passes]
    plan = own.new_plan()
    return [
        SelectForCascade(
            location=own.storage.location(),
            plan_key=place_part(batches, part, index, part_key(plan, part)),
            chunks_key=part_key(own.chunks_folder, part),
            labels=small.scheme.label_names,
            overlaps_allowed=small.scheme.overlaps,
            rules=small.scheme.value_rules,
            calibration=small.calibration,
            rule=small.rule,
        )
        for part in range(len(own.spool))
    ]


def _sum(values: Iterable[float | None]) -> float | None:
    """None where one is unknown."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
