"""Every chunk of a batch with its answers: asked once, doubtful ones twice, what fits no label again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.contracts import FIRST_PASS, SECOND_PASS
from preannotation_assets.defs.assets.common import MetadataValues
from preannotation_assets.defs.assets.raw_model_outputs.asking import AskingAccount, AskingRun
from preannotation_assets.defs.assets.raw_model_outputs.asking_metadata import asking_metadata
from preannotation_assets.defs.assets.raw_model_outputs.asking_pass import ask_pass, survey
from preannotation_assets.defs.assets.raw_model_outputs.cascade import CascadeChoice
from preannotation_assets.defs.assets.raw_model_outputs.collecting import Collected, SurveyedPass, collect
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.assets.raw_model_outputs.second_pass import second_pass
from preannotation_assets.lake import FetchedBytes
from preannotation_assets.telemetry.stage_progress import report_count

__all__ = ["AnsweredBatch", "answer_batch"]


@dataclass(frozen=True, slots=True)
class AnsweredBatch:
    """What was collected, and what was asked for it; an account is None where nothing was.

    ``first`` is of what was open, ``second`` of the second pass, ``again`` of what had answers that fit no
    label; ``choice`` is what a cascade asked before all that, None without one. ``passes`` are all that had
    to be answered, each with its own template; ``index`` is what the answer store held in the end.
    ``fetched`` is what it took to find these out.
    """

    collected: Collected
    passes: Sequence[OutputsBatch]
    index: AnswerIndex
    first: AskingAccount | None
    second: AskingAccount | None
    again: AskingAccount | None
    fetched: FetchedBytes
    choice: CascadeChoice | None = None

    @property
    def anything(self) -> bool:
        """Whether a request was made."""
        return any(self.accounts().values())

    def accounts(self) -> dict[str, AskingAccount | None]:
        """What each asking came to, by its name in the metadata; that of what was open has none."""
        return {
            "": self.first,
            "second_pass": self.second,
            "asked_again": self.again,
            "small_model": self.choice.first if self.choice else None,
            "small_model_second_pass": self.choice.second if self.choice else None,
        }

    def fetched_by_tasks(self) -> FetchedBytes:
        """What the tasks fetched from the lake that asked."""
        accounts = self.accounts().values()
        return sum((account.fetched for account in accounts if account), FetchedBytes())

    def metadata(self) -> MetadataValues:
        """What each asking came to."""
        told = {
            name: asking_metadata(account.progress, account.prefix_reused)
            for name, account in self.accounts().items()
            if account
        }
        return {**told.pop("", {}), **told}


def answer_batch(
    run: AskingRun, batch: OutputsBatch, since: int, choice: CascadeChoice | None = None
) -> AnsweredBatch:
    """Asks about all that has no answer in the store, or one from before ``since``, and collects.

    ``choice`` says what a cascade has left of the batch.

    Raises:
        InferenceError: the run was stopped; what was answered is kept.
        StorageError: the lake cannot be read or written.
    """
    if choice:
        batch = choice.large
    watch = partial(report_count, run.reporter, "collecting", "parts")
    index = AnswerIndex.read(batch.store, batch.layout.answers, since=since)
    first, surveyed = ask_pass(run, FIRST_PASS, batch, index, since)
    found = second_pass(batch, index, run.engine, run.model_server)
    second = again = None
    others: list[SurveyedPass] = []
    if found.batch:
        second, of_second = ask_pass(run, SECOND_PASS, found.batch, index, since, is_warm=first is not None)
        others.append(of_second)
    others += _small_passes(choice, index)
    version = choice.share.cascade_version if choice else None
    collected = collect([surveyed, *others], version, index, run.engine, watch)
    fetched = found.fetched + (choice.fetched if choice else FetchedBytes())
    if collected.unfit:
        fetched = sum((part.fetched for part in collected.parts), fetched)
        index.forget(collected.unfit)
        again, surveyed = ask_pass(run, FIRST_PASS, batch, index, since, is_warm=first is not None)
        collected = collect([surveyed, *others], version, index, run.engine, watch)
    passes = [*(choice.passes if choice else ()), batch, *([found.batch] if found.batch else ())]
    return AnsweredBatch(collected, passes, index, first, second, again, fetched, choice)


def _small_passes(choice: CascadeChoice | None, index: AnswerIndex) -> list[SurveyedPass]:
    """The chunks of which a cascade's small model has the answer that stands."""
    if choice is None:
        return []
    passes = ((FIRST_PASS, choice.share.first), (SECOND_PASS, choice.share.second))
    return [SurveyedPass(number, batch, survey(batch, index)) for number, batch in passes if batch]
