"""One request for an answer, from its body to its reply: loading, queueing, generating, faults."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from preannotation_assets.simulator.clock import SimulatedClock
from preannotation_assets.simulator.connections import reset_connection
from preannotation_assets.simulator.edge import edge_response, json_response
from preannotation_assets.simulator.faults import EDGE_FAULTS, Fault, FaultRule, FaultSchedule
from preannotation_assets.simulator.generation import Pace
from preannotation_assets.simulator.journal import Journal, RequestRecord, prompt_hash
from preannotation_assets.simulator.logprobs import LogprobScale
from preannotation_assets.simulator.models import ModelShelf
from preannotation_assets.simulator.planning import Order, Plan, plan_answer
from preannotation_assets.simulator.prompt import Prompt, render_fitting, render_prompt
from preannotation_assets.simulator.refusals import (
    GenerationBrokenError,
    RefusedError,
    RunnerStoppedError,
    model_not_found,
)
from preannotation_assets.simulator.replies import Metrics, answer_piece, encode, final_piece, token_ids
from preannotation_assets.simulator.requests import (
    Endpoint,
    GenerationRequest,
    RequestDefaults,
    parse_body,
    parse_request,
)
from preannotation_assets.simulator.runner import SlotUse
from preannotation_assets.simulator.scheduler import Lease, Scheduler
from preannotation_assets.simulator.settings import SimulatedModel, SimulatorSettings
from preannotation_assets.simulator.sinks import AnswerForm, AnswerSink, StreamedAnswer, WholeAnswer
from preannotation_assets.simulator.versions import abilities_of

__all__ = ["Answering"]

_MID_FAULTS = (
    Fault.CRASH_MID_GENERATION,
    Fault.ERROR_MID_STREAM,
    Fault.NOT_DONE,
    Fault.STALL_MID_STREAM,
)
_FOR_EVER = 365 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Job:
    """An order with its loaded model, on its way to an answer."""

    order: Order
    plan: Plan
    lease: Lease
    sink: AnswerSink
    record: RequestRecord


@dataclass(frozen=True, slots=True)
class _Spent:
    """Where the time of a job went: real seconds in the queue, simulated ones at work."""

    queued: float
    prompt: float
    output: float


class Answering:
    """Answers ``/api/generate`` and ``/api/chat`` for one server."""

    def __init__(self, settings: SimulatorSettings, shelf: ModelShelf) -> None:
        """Start with nothing loaded and nothing in the journal."""
        self.clock = SimulatedClock(settings.speed)
        self.scheduler = Scheduler(settings, self.clock)
        self.faults = FaultSchedule(settings.faults, settings.seed)
        self.journal = Journal(settings.slots)
        self._settings = settings
        self._shelf = shelf
        self._abilities = abilities_of(settings.version)
        self._pace = Pace(settings.time, self.clock)

    async def answer(
        self, endpoint: Endpoint, http: web.Request, record: RequestRecord
    ) -> web.StreamResponse:
        """The reply to a request; what happens is written into ``record``.

        Raises ``RefusedError``, ``RunnerStoppedError`` and ``GenerationBrokenError`` for replies that
        are errors, and ``ConnectionResetError`` where the connection has been reset on purpose.
        """
        request = self._parse(endpoint, await http.read())
        record.model, record.is_stream = request.model, request.is_stream
        record.is_load_only = request.is_load_only
        fault = self.faults.draw_for_load() if request.is_load_only else self.faults.draw()
        record.fault = fault.fault.value if fault else None
        if fault is not None and fault.fault in EDGE_FAULTS:
            return await _answer_at_edge(fault, http.host)
        model = self._model(request)
        order = Order(request.within(model.context_length), model, fault)
        if request.is_load_only:
            return await self._load(order, record)
        if order.has(Fault.DIGEST_CHANGE):
            self._shelf.change_digest(order.model)
        sink = self._sink(request, http)
        async with self._lease(order, record) as lease:
            try:
                return await self._generate(self._job(order, lease, sink, record), http)
            except (RefusedError, RunnerStoppedError) as refused:
                record.status = refused.status
                return await sink.fail(refused.status, refused.text)

    def _parse(self, endpoint: Endpoint, body: bytes) -> GenerationRequest:
        defaults = RequestDefaults(
            self._settings.default_context, self._settings.keep_alive, self._abilities.obeys_truncate
        )
        return parse_request(endpoint, parse_body(body), defaults)

    def _model(self, request: GenerationRequest) -> SimulatedModel:
        if request.endpoint is Endpoint.GENERATE and not request.model:
            raise model_not_found(request.model)
        model = self._shelf.find_for_answer(request.model)
        if request.thinks and not model.is_thinking:
            raise RefusedError(400, f'"{request.model}" does not support thinking')
        return model

    async def _load(self, order: Order, record: RequestRecord) -> web.StreamResponse:
        request = order.request
        piece = answer_piece(request.endpoint, request.model, "", "", True)
        if request.keep_alive == 0:
            self.scheduler.unload(order.demand.model)
            return json_response(encode(final_piece(piece, "unload", None, ())))
        async with self._lease(order, record):
            return json_response(encode(final_piece(piece, "load", None, ())))

    @asynccontextmanager
    async def _lease(self, order: Order, record: RequestRecord) -> AsyncIterator[Lease]:
        fails = order.has(Fault.LOAD_FAILURE)
        async with self.scheduler.lease(order.demand, order.request.keep_alive, fails) as lease:
            record.has_loaded = lease.has_loaded
            yield lease

    def _sink(self, request: GenerationRequest, http: web.Request) -> AnswerSink:
        scale = LogprobScale(
            self._settings.seed, self._settings.has_confidence_signal, self._settings.character_parts
        )
        has_logprobs = request.logprobs and self._abilities.has_logprobs
        form = AnswerForm(
            request.endpoint, request.model, scale if has_logprobs else None, request.top_logprobs
        )
        return StreamedAnswer(form, http) if request.is_stream else WholeAnswer(form)

    def _job(self, order: Order, lease: Lease, sink: AnswerSink, record: RequestRecord) -> _Job:
        prompt = _render(order)
        record.prompt_sha256 = prompt_hash(prompt.text)
        plan = plan_answer(order, prompt, self._settings, self._abilities)
        record.prompt_tokens, record.is_truncated = len(plan.fitted.tokens), plan.fitted.is_truncated
        record.is_shifted = plan.answer.is_shifted
        return _Job(order, plan, lease, sink, record)

    async def _generate(self, job: _Job, http: web.Request) -> web.StreamResponse:
        arrived = self.clock.now()
        async with job.lease.runner.slot(job.plan.fitted.tokens) as use:
            queued = self.clock.now() - arrived
            self.journal.took_slot(job.record, use.slot.number, queued)
            job.record.cached_tokens = use.cached_tokens
            fresh = len(job.plan.fitted.tokens) - use.cached_tokens
            prompt_seconds = await self._pace.prefill(job.lease.runner, fresh)
            await self._strike_before_first_token(job, http)
            if job.order.request.options.never_ends:
                await job.lease.runner.pause(_FOR_EVER)
            try:
                output_seconds = await self._write(job)
            except GenerationBrokenError as broken:
                return await job.sink.fail(broken.status, broken.text)
            return await self._finish(job, use, _Spent(queued, prompt_seconds, output_seconds))

    async def _strike_before_first_token(self, job: _Job, http: web.Request) -> None:
        if job.order.has(Fault.CRASH):
            self.scheduler.crash(job.lease.runner)
            raise RunnerStoppedError
        if job.order.has(Fault.SOCKET_RESET):
            reset_connection(http)
            raise ConnectionResetError
        if job.order.has(Fault.STALL):
            await job.lease.runner.pause(job.order.fault_seconds)

    async def _write(self, job: _Job) -> float:
        """Decode into the sink; returns the simulated seconds that count as eval_duration."""
        if job.plan.thought:
            await self._think(job)
        tokens = job.plan.answer.tokens
        strike_at = max(len(tokens) // 2, 1) if job.order.has(*_MID_FAULTS) else None
        written, seconds = 0, 0.0
        async for progress in self._pace.decode(job.lease.runner, len(tokens)):
            seconds = progress.seconds
            end = progress.tokens if strike_at is None else min(progress.tokens, strike_at)
            if end > written:
                await job.sink.add(tokens[written:end])
                written = end
            if written == strike_at:
                await self._strike_mid_generation(job, written)
                break
        return seconds

    async def _strike_mid_generation(self, job: _Job, written: int) -> None:
        if job.order.has(Fault.STALL_MID_STREAM):
            await job.lease.runner.pause(job.order.fault_seconds)
            await job.sink.add(job.plan.answer.tokens[written:])
        elif job.order.has(Fault.CRASH_MID_GENERATION):
            self.scheduler.crash(job.lease.runner)
            raise GenerationBrokenError
        elif job.order.has(Fault.ERROR_MID_STREAM):
            raise GenerationBrokenError

    async def _think(self, job: _Job) -> None:
        async for _ in self._pace.decode(job.lease.runner, len(job.plan.thought.split())):
            pass
        await job.sink.think(job.plan.thought)

    async def _finish(self, job: _Job, use: SlotUse, spent: _Spent) -> web.StreamResponse:
        answer = job.plan.answer
        job.record.output_tokens = answer.evaluated
        if job.order.has(Fault.NOT_DONE) or not answer.is_done:
            return await job.sink.abandon()
        all_tokens = (*job.plan.fitted.tokens, *(token.text for token in answer.tokens))
        use.slot.cached = all_tokens
        job.record.done_reason = answer.done_reason
        request = job.order.request
        has_context = request.endpoint is Endpoint.GENERATE and not request.is_raw
        context = token_ids(all_tokens) if has_context else []
        return await job.sink.finish(answer.done_reason, self._metrics(job, use, spent), context)

    def _metrics(self, job: _Job, use: SlotUse, spent: _Spent) -> Metrics:
        load = job.lease.load_seconds
        uncounted = 0 if self._abilities.counts_cached_tokens else use.cached_tokens
        return Metrics(
            total_seconds=load + self.clock.simulated_seconds(spent.queued) + spent.prompt + spent.output,
            load_seconds=load,
            prompt_tokens=len(job.plan.fitted.tokens) - uncounted,
            prompt_seconds=spent.prompt,
            output_tokens=job.plan.answer.evaluated,
            output_seconds=spent.output,
        )


def _render(order: Order) -> Prompt:
    request = order.request
    if request.endpoint is Endpoint.CHAT and request.truncate:
        return render_fitting(request.messages, request.options.context)
    return render_prompt(request.messages, request.is_raw)


async def _answer_at_edge(rule: FaultRule, host: str) -> web.StreamResponse:
    if rule.fault is Fault.EDGE_TIMEOUT:
        await asyncio.sleep(rule.seconds)
    return edge_response(rule, host)
