"""How ``raw_model_outputs`` asks: what is open, shared out over Spark tasks, under one permit server."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dagster import DagsterExecutionInterruptedError

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.asking.asker import AskingPlan
from preannotation_assets.asking.asking_plan import AskingShare, write_asking_shares
from preannotation_assets.asking.planning import Survey, wanted_chunks
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.errors import DriverLostError, InferenceError, RunStoppedError
from preannotation_assets.lake import FetchedBytes
from preannotation_assets.model_servers.load_watch import watched_load
from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.tasks.ask_model import AskModel, ask_model
from preannotation_assets.tasks.engine import TaskEngine
from preannotation_assets.telemetry.forecast import Work
from preannotation_assets.telemetry.metrics import exported_metrics, watched
from preannotation_assets.telemetry.prefix_watch import PrefixWatch, warned_of_rereading
from preannotation_assets.telemetry.progress import describe_interruption, reported_progress
from preannotation_assets.telemetry.request_log import RequestLog
from preannotation_assets.telemetry.run_names import RunNames
from preannotation_assets.telemetry.stage_progress import StageReporter
from preannotation_assets.throttling.dispatcher import Limits, Progress
from preannotation_assets.throttling.open_files import allow_open_files
from preannotation_assets.throttling.permit_server import PermitServer
from preannotation_assets.throttling.warm_ups import warm_ups_an_endpoint

__all__ = ["AskingAccount", "AskingRun", "StopSwitch", "ask_what_is_open"]

_PREFIX_SECONDS: Final = 15.0
# Of a task, until its run ends: what it has answered each time is kept.
_TIMES_LOST: Final = 3


@dataclass
class StopSwitch:
    """Ends the asking from outside, from any thread."""

    permit_server: PermitServer | None = None
    message: str | None = None

    def stop(self, message: str) -> None:
        """Lets the requests in flight come to their end, and no more begin."""
        self.message = message
        if self.permit_server:
            self.permit_server.stop(message)


@dataclass(frozen=True, slots=True)
class AskingRun:
    """The run that asks, and what it asks with.

    ``engine`` does its tasks; ``semaphore_folder`` is where the runs of this machine share the cap, None
    where there are none.
    """

    log: logging.Logger
    engine: TaskEngine
    semaphore_folder: Path | None
    model_server: ModelServerResource
    access: ModelAccess
    switch: StopSwitch
    reporter: StageReporter


@dataclass(frozen=True, slots=True)
class AskingAccount:
    """What was asked, and what the tasks fetched from the lake for it.

    ``prefix_reused`` is the share of the prompt's constant part that is not read anew with each page, by
    endpoint, where it is known.
    """

    progress: Progress
    fetched: FetchedBytes
    prefix_reused: Mapping[str, float]


def ask_what_is_open(
    run: AskingRun, batch: OutputsBatch, index: AnswerIndex, survey: Survey, *, is_warm: bool = False
) -> AskingAccount | None:
    """Asks about the chunks without an answer in the index; None where there are none.

    ``survey`` is of these chunks and that index. ``is_warm`` says that this run has asked with the same
    prompt before, so that the servers have read it, and none is waited for before the others are asked.

    Raises:
        InferenceError: the run was stopped; what was answered is kept.
    """
    digest = batch.template.digest[:12]
    run.log.info(f"{survey.requests} requests to make for {batch.chunk_count} chunks, model {digest}")
    account = None
    if survey.requests:
        work = Work(requests=survey.requests, tokens=survey.tokens)
        limits = _limits(run, 0 if is_warm else work.requests)
        wanted = wanted_chunks(batch.rows(), batch.template.fingerprint, index)
        shares = write_asking_shares(
            batch.store, batch.new_plan(), wanted, work.tokens, run.engine.parallelism()
        )
        if not is_warm:
            run.access.preload(batch.template, os.environ)
        account = _ask(run, batch, shares, work, limits)
    if run.switch.message:
        raise _ended_early(run.switch.message)
    return account


def _limits(run: AskingRun, cold_requests: int) -> Limits:
    access, limits = run.access, run.model_server.limits()
    warm_ups = warm_ups_an_endpoint(
        cold_requests, len(access.endpoints), access.max_in_flight, each_slot=access.server.warms_each_slot
    )
    return replace(limits, warm_ups=warm_ups)


def _ask(
    run: AskingRun, batch: OutputsBatch, shares: Sequence[AskingShare], work: Work, limits: Limits
) -> AskingAccount:
    """Asks the model about everything that is wanted; what was answered is kept whatever happens."""
    allow_open_files(_most_at_once(run, work))
    prefix = PrefixWatch(batch.template.prompt.constant_tokens)
    with _permit_server(run, batch, limits, prefix) as permit_server:
        run.switch.permit_server = permit_server
        tasks = _tasks(run, batch, shares, work, permit_server)
        log = run.log
        try:
            with (
                warned_of_rereading(prefix, log.warning, _PREFIX_SECONDS),
                reported_progress(permit_server, work, run.reporter, log.warning),
            ):
                fetched = _run_tasks(run, tasks, permit_server)
        except (KeyboardInterrupt, DagsterExecutionInterruptedError):
            # The last line before Dagster's own about the end, which is a stack trace.
            log.warning(describe_interruption(permit_server.progress(), work))
            raise
        except RunStoppedError as stopped:
            raise _ended_early(permit_server.stop_message or str(stopped)) from None
        return AskingAccount(permit_server.progress(), sum(fetched, FetchedBytes()), prefix.shares())


def _run_tasks(run: AskingRun, tasks: Sequence[AskModel], permit_server: PermitServer) -> list[FetchedBytes]:
    """Has the tasks done, and again what is left of those that were out of reach of this driver.

    Raises:
        RunStoppedError: no more permits are handed out, or the driver was out of reach each time.
    """
    for _ in range(_TIMES_LOST):
        try:
            return run.engine.run(tasks, ask_model)
        except DriverLostError as lost:
            if permit_server.stop_message:
                raise
            run.log.warning(f"what a task left is asked again: {lost}")
    return run.engine.run(tasks, ask_model)


def _ended_early(message: str) -> InferenceError:
    """The message has its own cure behind a colon, so what is told besides comes behind a semicolon."""
    return InferenceError(f"{message}; the answers so far are kept")


def _most_at_once(run: AskingRun, work: Work) -> int:
    """Requests in flight, over all endpoints."""
    return min(work.requests, len(run.access.endpoints) * run.access.max_in_flight)


def _tasks(
    run: AskingRun,
    batch: OutputsBatch,
    shares: Sequence[AskingShare],
    work: Work,
    permit_server: PermitServer,
) -> list[AskModel]:
    access = run.access
    plan = AskingPlan(
        template=batch.template,
        policy=access.policy,
        timeouts=access.timeouts,
        permits=permit_server.address,
        askers=_most_at_once(run, work),
        overlap_tokens=batch.chunks.overlap_tokens,
        run_id=batch.run_id,
    )
    return [
        AskModel(
            location=batch.storage.location(),
            answers_folder=batch.own_answers,
            chunks_folder=batch.chunks_folder,
            share=share,
            asking=replace(plan, task=number),
            server=access.server,
            streamed=access.streamed,
            flush_seconds=run.model_server.flush_seconds,
        )
        for number, share in enumerate(shares)
    ]


@contextmanager
def _permit_server(
    run: AskingRun, batch: OutputsBatch, limits: Limits, prefix: PrefixWatch
) -> Iterator[PermitServer]:
    """The permit server of a run, and those who are told of every request."""
    place = run.engine.permit_place()
    names = RunNames(batch.layout.dataset, batch.run_id, batch.template.model, run.access.server.provider)
    log = RequestLog(batch.store, f"{batch.layout.requests}/{batch.run_id}", batch.run_id)
    with (
        log,
        exported_metrics(os.environ, names, run.log.warning) as metrics,
        PermitServer(
            run.access.endpoints,
            limits,
            bind_host=place.bind_host,
            advertised_host=place.advertised_host,
            port=place.port,
            semaphore_folder=run.semaphore_folder,
            observers=(log.observe, metrics.observe, prefix.observe),
        ) as permit_server,
        watched(metrics, permit_server.progress),
        watched_load(
            run.access.server,
            run.access.endpoints,
            os.environ,
            lambda endpoint, load: permit_server.record_load(endpoint, load.running, load.waiting),
        ),
    ):
        yield permit_server
    if log.dropped:
        run.log.warning(f"the lake did not take {log.dropped} rows of the table of requests")
