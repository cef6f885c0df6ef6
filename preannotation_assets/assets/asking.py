"""How ``raw_model_outputs`` asks: what is open, shared out over Spark tasks, under one permit server."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from dagster import AssetExecutionContext

from preannotation_assets.assets.outputs_batch import OutputsBatch
from preannotation_assets.errors import InferenceError
from preannotation_assets.inference.asking import Asking
from preannotation_assets.inference.board import Progress
from preannotation_assets.inference.journal import AnswerIndex
from preannotation_assets.inference.permit_server import PermitServer
from preannotation_assets.inference.permits import RunStoppedError
from preannotation_assets.inference.planning import WantedChunk, share_out, wanted_chunks
from preannotation_assets.inference.progress import reported_progress
from preannotation_assets.lake.layout import part_key
from preannotation_assets.resources.ollama import OllamaResource
from preannotation_assets.resources.spark import SparkResource, run_tasks
from preannotation_assets.tasks.ask_model import AskModel, ChunksToAsk, ask_model

__all__ = ["StopSwitch", "ask_what_is_open"]

_PROGRESS_SECONDS: Final = 15.0


@dataclass
class StopSwitch:
    """Ends the asking from outside, from any thread."""

    server: PermitServer | None = None
    message: str | None = None

    def stop(self, message: str) -> None:
        """Lets the requests in flight come to their end, and no more begin."""
        self.message = message
        if self.server:
            self.server.stop(message)


def ask_what_is_open(
    context: AssetExecutionContext,
    batch: OutputsBatch,
    since: int,
    switch: StopSwitch,
    spark: SparkResource,
    ollama: OllamaResource,
) -> Progress | None:
    """Asks about the chunks without an answer; None where there are none."""
    index = AnswerIndex.read(batch.store, batch.layout.journal, since=since)
    wanted = list(wanted_chunks(batch.rows, batch.template.fingerprint, index))
    requests = sum(len(chunk.pieces) for chunk in wanted)
    digest = batch.template.digest[:12]
    context.log.info(f"{requests} requests to make for {len(batch.rows)} chunks, model {digest}")
    progress = _ask(context, batch, wanted, requests, switch, spark, ollama) if wanted else None
    if switch.message:
        raise InferenceError(switch.message, "the answers so far are kept")
    return progress


def _ask(
    context: AssetExecutionContext,
    batch: OutputsBatch,
    wanted: Sequence[WantedChunk],
    requests: int,
    switch: StopSwitch,
    spark: SparkResource,
    ollama: OllamaResource,
) -> Progress:
    """Asks the model about everything that is wanted; what was answered is kept whatever happens."""
    ollama.preload(batch.template)
    session = spark.spark_session
    conf = session.sparkContext.getConf()
    driver_host = conf.get("spark.driver.host", "127.0.0.1")
    addresses = ollama.addresses()
    with PermitServer(
        addresses,
        ollama.limits(),
        bind_host=conf.get("spark.driver.bindAddress", driver_host),
        advertised_host=driver_host,
        slot_folder=Path(context.instance.storage_directory()) / "ollama_slots",
    ) as server:
        switch.server = server
        asking = Asking(
            template=batch.template,
            policy=ollama.retry_policy(),
            timeouts=ollama.timeouts(),
            permits=server.address,
            askers=min(requests, len(addresses) * ollama.max_in_flight),
            overlap_tokens=batch.chunks.overlap_tokens,
            run_id=batch.run_id,
        )
        tasks = [
            AskModel(
                location=batch.storage.location(),
                journal=f"{batch.layout.journal}/{batch.run_id}",
                parts=_parts_to_ask(batch, share),
                asking=asking,
                stream=ollama.stream,
                flush_seconds=ollama.flush_seconds,
            )
            for share in share_out(wanted, spark.parallelism())
        ]
        try:
            with reported_progress(server, requests, context.log.info, _PROGRESS_SECONDS):
                run_tasks(session, tasks, ask_model)
        except RunStoppedError as stopped:
            raise InferenceError(server.stop_message or str(stopped), "the answers so far are kept") from None
        return server.progress()


def _parts_to_ask(batch: OutputsBatch, share: Sequence[WantedChunk]) -> list[ChunksToAsk]:
    return [
        ChunksToAsk(part_key(batch.chunks_folder, part), {chunk.row: chunk.pieces for chunk in chunks})
        for part, chunks in groupby(share, key=lambda chunk: chunk.part)
    ]
