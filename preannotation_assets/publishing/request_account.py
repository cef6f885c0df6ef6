"""What the requests of a dataset came to: the one place that reads the answers to tell of them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.contracts import RAW_MODEL_OUTPUTS, SALVAGED, AnswerStatus
from preannotation_assets.lake import ObjectStore, Row
from preannotation_assets.lake.batch import iterate_rows
from preannotation_assets.lake.key_set import KeySet
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import RawModelOutputsManifest
from preannotation_assets.publishing.distribution import Distribution

__all__ = ["RequestAccount", "read_requests"]

_COLUMNS: Final = (
    "request_key",
    "status",
    "reason",
    "latency_seconds",
    "prompt_tokens",
    "answer_tokens",
    "run_id",
)


@dataclass(slots=True)
class RequestAccount:
    """Chunks of one text share a request, which counts once.

    ``latencies`` (seconds) and tokens are of the answered ones, where known. ``tokens`` are of everything
    that is kept, prompts included; None where no server counted. ``answered_by_run`` counts the answered ones
    by the run that asked.
    """

    latencies: Distribution = field(default_factory=Distribution)
    prompt_tokens: Distribution = field(default_factory=Distribution)
    answer_tokens: Distribution = field(default_factory=Distribution)
    tokens: int | None = None
    answered_by_run: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    def add(self, row: Row) -> None:
        """Counts a request by the first of its rows."""
        if row["prompt_tokens"] is not None and row["answer_tokens"] is not None:
            self.tokens = (self.tokens or 0) + row["prompt_tokens"] + row["answer_tokens"]
        if row["reason"] == SALVAGED:
            # Part of a request whose rest was asked again; nobody asked for it alone.
            return
        if row["status"] != AnswerStatus.ANSWERED:
            self.failed += 1
            return
        self.answered_by_run[row["run_id"]] += 1
        for values, name in (
            (self.latencies, "latency_seconds"),
            (self.prompt_tokens, "prompt_tokens"),
            (self.answer_tokens, "answer_tokens"),
        ):
            if row[name] is not None:
                values.add(row[name])


def read_requests(
    store: ObjectStore, layout: DatasetLayout, outputs: RawModelOutputsManifest
) -> RequestAccount:
    """Reads the answers that are there now; a key of each request is kept on disk meanwhile.

    Raises:
        StorageError: the lake cannot be read, or there is no room for temporary files.
    """
    account = RequestAccount()
    folder = layout.stage("raw_model_outputs", outputs.version)
    with KeySet() as seen:
        for row in iterate_rows(store, folder, len(outputs.part_rows), RAW_MODEL_OUTPUTS, _COLUMNS):
            if seen.add(row["request_key"]):
                account.add(row)
    return account
