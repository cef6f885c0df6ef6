"""How ``raw_model_outputs`` asks: what is open, shared out over Spark tasks, under one permit server."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final

from dagster import AssetExecutionContext
from pyspark import SparkConf

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.asking.asker import AskingPlan
from preannotation_assets.asking.planning import WantedChunk, split_by_tokens, wanted_chunks
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.defs.resources.spark import SparkResource, run_tasks
from preannotation_assets.errors import InferenceError
from preannotation_assets.lake.layout import part_key
from preannotation_assets.tasks.ask_model import AskModel, ChunksToAsk, ask_model
from preannotation_assets.telemetry.metrics import exported_metrics, watched
from preannotation_assets.telemetry.progress import Work, reported_progress
from preannotation_assets.telemetry.request_log import RequestLog
from preannotation_assets.telemetry.run_names import RunNames
from preannotation_assets.throttling.dispatcher import Progress
from preannotation_assets.throttling.host_semaphore import semaphore_folder
from preannotation_assets.throttling.permit_client import RunStoppedError
from preannotation_assets.throttling.permit_server import PermitServer

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
    model_server: ModelServerResource,
) -> Progress | None:
    """Asks about the chunks without an answer; None where there are none."""
    index = AnswerIndex.read(batch.store, batch.layout.journal, since=since)
    wanted = list(wanted_chunks(batch.rows, batch.template.fingerprint, index))
    work = Work(
        chunks=len(batch.rows),
        chunks_done=len(batch.rows) - len(wanted),
        requests=sum(len(chunk.requests) for chunk in wanted),
        tokens=sum(chunk.estimated_tokens for chunk in wanted),
    )
    digest = batch.template.digest[:12]
    context.log.info(f"{work.requests} requests to make for {work.chunks} chunks, model {digest}")
    progress = _ask(context, batch, wanted, work, switch, spark, model_server) if wanted else None
    if switch.message:
        raise InferenceError(switch.message, "the answers so far are kept")
    return progress


def _ask(
    context: AssetExecutionContext,
    batch: OutputsBatch,
    wanted: Sequence[WantedChunk],
    work: Work,
    switch: StopSwitch,
    spark: SparkResource,
    model_server: ModelServerResource,
) -> Progress:
    """Asks the model about everything that is wanted; what was answered is kept whatever happens."""
    model_server.preload(batch.template)
    session = spark.spark_session
    with _permit_server(context, batch, session.sparkContext.getConf(), model_server) as server:
        switch.server = server
        asking = AskingPlan(
            template=batch.template,
            policy=model_server.retry_policy(),
            timeouts=model_server.timeouts(),
            permits=server.address,
            askers=min(work.requests, len(model_server.addresses()) * model_server.max_in_flight),
            overlap_tokens=batch.chunks.overlap_tokens,
            run_id=batch.run_id,
        )
        tasks = [
            AskModel(
                location=batch.storage.location(),
                journal=f"{batch.layout.journal}/{batch.run_id}",
                parts=_parts_to_ask(batch, share),
                asking=replace(asking, task=number),
                server=model_server.server(),
                stream=model_server.stream,
                flush_seconds=model_server.flush_seconds,
            )
            for number, share in enumerate(split_by_tokens(wanted, spark.parallelism()))
        ]
        try:
            with reported_progress(server, work, context.log.info, _PROGRESS_SECONDS):
                run_tasks(session, tasks, ask_model)
        except RunStoppedError as stopped:
            raise InferenceError(server.stop_message or str(stopped), "the answers so far are kept") from None
        return server.progress()


@contextmanager
def _permit_server(
    context: AssetExecutionContext, batch: OutputsBatch, conf: SparkConf, model_server: ModelServerResource
) -> Iterator[PermitServer]:
    """The permit server of a run, and those who are told of every request."""
    driver_host = conf.get("spark.driver.host") or "127.0.0.1"
    provider = model_server.server().kind.lower()
    names = RunNames(batch.layout.dataset, batch.run_id, batch.template.model, provider)
    log = RequestLog(batch.store, f"{batch.layout.requests}/{batch.run_id}", batch.run_id)
    with (
        log,
        exported_metrics(os.environ, names, context.log.warning) as metrics,
        PermitServer(
            model_server.addresses(),
            model_server.limits(),
            bind_host=conf.get("spark.driver.bindAddress") or driver_host,
            advertised_host=driver_host,
            semaphore_folder=semaphore_folder(Path(context.instance.storage_directory())),
            observers=(log.observe, metrics.observe),
        ) as server,
        watched(metrics, server.progress),
    ):
        yield server
    if log.dropped:
        context.log.warning(f"the lake did not take {log.dropped} rows of the table of requests")


def _parts_to_ask(batch: OutputsBatch, share: Sequence[WantedChunk]) -> list[ChunksToAsk]:
    return [
        ChunksToAsk(part_key(batch.chunks_folder, part), {chunk.row: chunk.requests for chunk in chunks})
        for part, chunks in groupby(share, key=lambda chunk: chunk.part)
    ]
