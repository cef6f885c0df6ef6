"""One request for an answer, from its body to its reply: checks, queue, batch, faults."""

import asyncio
import hashlib
import itertools
from dataclasses import replace

from aiohttp import web

from preannotation_assets.simulator.chance import fraction
from preannotation_assets.simulator.clock import SimulatedClock
from preannotation_assets.simulator.connections import reset_connection
from preannotation_assets.simulator.edge import edge_response
from preannotation_assets.simulator.faults import EDGE_FAULTS, Fault, FaultRule, FaultSchedule
from preannotation_assets.simulator.journal import Journal, RequestRecord
from preannotation_assets.simulator.logprobs import LogprobScale
from preannotation_assets.simulator.openai.bodies import ChatRequest, parse_chat, parse_json
from preannotation_assets.simulator.openai.chat_prompt import ChatPrompt, block_keys, cut_prompt, render_chat
from preannotation_assets.simulator.openai.completions import Composer, Demand
from preannotation_assets.simulator.openai.engine import Engine
from preannotation_assets.simulator.openai.grammar import Grammar, GrammarMaker
from preannotation_assets.simulator.openai.memory import BlockMemory, SlotMemory
from preannotation_assets.simulator.openai.refusals import (
    EngineDeadError,
    QueueFullError,
    grammar_refused,
    model_not_found,
    prompt_too_long,
    server_error,
)
from preannotation_assets.simulator.openai.replies import ReplyForm
from preannotation_assets.simulator.openai.scores import Scorer
from preannotation_assets.simulator.openai.sending import EventStream, send_whole
from preannotation_assets.simulator.openai.sequence import Sequence
from preannotation_assets.simulator.openai.settings import Flavour, OpenAiSettings
from preannotation_assets.simulator.refusals import RefusedError

__all__ = ["Answering"]

_BROKEN_TEXT = "EngineCore encountered an issue. See stack trace (above) for the root cause."
_SEED_RANGE = 1 << 31
_HALF_FAULTS = (Fault.ERROR_MID_STREAM, Fault.STALL_MID_STREAM, Fault.NOT_DONE, Fault.CRASH_MID_GENERATION)
_LLAMA_BUILD = "b10434-5f2a1c7d9"


class Answering:
    """Answers ``/v1/chat/completions`` of one server."""

    def __init__(self, settings: OpenAiSettings) -> None:
        """Start with an empty batch and nothing in the journal."""
        self.settings = settings
        self.faults = FaultSchedule(settings.faults, settings.seed)
        self.journal = Journal(settings.most_sequences)
        self.revision = 0
        self.engine = self._new_engine()
        self.grammars = GrammarMaker(settings)
        self._composer = Composer(settings)
        self._options = repr(replace(settings, faults=(), port=0))
        self._numbers = itertools.count(1)

    def restart(self) -> None:
        """A new process: an empty batch and cache, and no grammar made yet."""
        self.engine = self._new_engine()
        self.grammars = GrammarMaker(self.settings)

    def forget(self) -> None:
        """Take back all changes of the model."""
        self.revision = 0

    @property
    def fingerprint(self) -> str:
        """``system_fingerprint``: of vLLM another one for other start options."""
        if self.settings.flavour is Flavour.LLAMA:
            return _LLAMA_BUILD
        source = f"{self._options}{self.revision}"
        return f"vllm-{self.settings.version}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"

    async def answer(self, http: web.Request, record: RequestRecord) -> web.StreamResponse:
        """The reply to a request; what happens is written into ``record``.

        Raises ``ReplyError``, ``QueueFullError`` and ``EngineDeadError`` for replies that are errors, and
        ``ConnectionResetError`` where the connection has been reset on purpose.
        """
        settings = self.settings
        request = parse_chat(parse_json(await http.read(), settings.flavour), settings)
        record.model, record.is_stream = request.model, request.is_stream
        rule = self.faults.draw()
        record.fault = rule.fault.value if rule else None
        if rule is not None and rule.fault in EDGE_FAULTS:
            return await self._answer_at_edge(rule, http.host)
        if settings.flavour is Flavour.VLLM and request.model not in ("", *settings.model.names):
            raise model_not_found(request.model)
        prompt = self._prompt(request)
        record.prompt_sha256, record.prompt_tokens = prompt.sha256, len(prompt.tokens)
        grammar = await self._grammar(request)
        demand = self._demand(request, prompt, grammar, rule)
        await self._strike_before(demand, http)
        form = self._form(request, demand, record)
        self.engine.submit(form.sequence)
        try:
            return await self._send(http, form, demand, record)
        finally:
            self.engine.leave(form.sequence)

    def render(self, request: ChatRequest) -> ChatPrompt:
        """The prompt of a request."""
        return render_chat(request.messages, self.settings.flavour is Flavour.LLAMA)

    def _prompt(self, request: ChatRequest) -> ChatPrompt:
        prompt, window = self.render(request), self.settings.window
        if request.truncate_prompt_tokens is not None and request.truncate_prompt_tokens > 0:
            prompt = cut_prompt(prompt, request.truncate_prompt_tokens)
        if len(prompt.tokens) > window:
            raise prompt_too_long(self.settings.flavour, len(prompt.tokens), window)
        return prompt

    async def _grammar(self, request: ChatRequest) -> Grammar | None:
        grammar, is_new = self.grammars.make(request.form, request.schema)
        if is_new:
            await self.engine.clock.sleep(self.settings.times.compile_seconds)
        if grammar is not None and grammar.hangs:
            await asyncio.Event().wait()
        return grammar

    def _demand(
        self, request: ChatRequest, prompt: ChatPrompt, grammar: Grammar | None, rule: FaultRule | None
    ) -> Demand:
        left = max(self.settings.window - len(prompt.tokens), 1)
        most = left if request.most_tokens is None else min(request.most_tokens, left)
        last = request.messages[-1] if request.messages else None
        is_open = last is not None and last.role == "assistant" and self.settings.flavour is Flavour.LLAMA
        prefix = last.content if last is not None and is_open else ""
        return Demand(prompt, grammar, most, self._seed(request, prompt), prefix, rule)

    def _seed(self, request: ChatRequest, prompt: ChatPrompt) -> int:
        """The seed of the answer: the server's own at temperature 0, as far as the batch lets it."""
        seed = self.settings.seed
        if request.temperature > 0:
            drawn = next(self._numbers) if request.seed is None else request.seed
            return int(fraction(seed, "sampling", request.seed is None, drawn) * _SEED_RANGE)
        is_beside = self.engine.running + self.engine.waiting > 0
        chance = fraction(seed, "batch", prompt.sha256)
        return seed + int(is_beside and chance < self.settings.batch_variation)

    def _form(self, request: ChatRequest, demand: Demand, record: RequestRecord) -> ReplyForm:
        settings = self.settings
        try:
            completion = self._composer.complete(demand)
        except RefusedError:
            raise grammar_refused(settings.flavour, "only an endless value satisfies the schema") from None
        is_llama = settings.flavour is Flavour.LLAMA
        tokens = demand.prompt.tokens
        sequence = Sequence(
            number=next(self._numbers),
            tokens=tokens,
            blocks=() if is_llama else block_keys(tokens, settings.block_tokens, request.cache_salt),
            steps=len(completion.step_ends),
            ended=asyncio.get_running_loop().create_future(),
            admitted_by=lambda admitted: self._admitted(admitted, record),
            left_by=lambda _: self.journal.left_slot(record),
            moved=asyncio.Event() if request.is_stream else None,
            interval=settings.stream_interval,
        )
        scorer = Scorer(
            settings.flavour,
            LogprobScale(settings.seed, settings.has_confidence_signal, settings.character_parts),
            request.top_logprobs,
            demand.grammar is not None,
            demand.grammar is not None and demand.grammar.is_canonical,
        )
        has_scores = request.has_logprobs and (request.top_logprobs > 0 or not is_llama)
        identity = f"chatcmpl-{demand.prompt.sha256}{sequence.number:08x}"
        return ReplyForm(
            settings,
            request,
            completion,
            sequence,
            scorer if has_scores else None,
            self.fingerprint,
            identity,
        )

    def _admitted(self, sequence: Sequence, record: RequestRecord) -> None:
        record.cached_tokens = sequence.cached
        waited = self.engine.clock.real_seconds((sequence.admitted or 0.0) - sequence.arrived)
        self.journal.took_slot(record, self.engine.running - 1, waited)

    async def _strike_before(self, demand: Demand, http: web.Request) -> None:
        if demand.has(Fault.CRASH):
            self.engine.die()
            raise EngineDeadError
        if demand.has(Fault.SOCKET_RESET):
            reset_connection(http)
            raise ConnectionResetError
        if demand.has(Fault.STALL) and demand.fault is not None:
            await asyncio.sleep(demand.fault.seconds)
        if demand.has(Fault.DIGEST_CHANGE):
            self.revision += 1

    async def _send(
        self, http: web.Request, form: ReplyForm, demand: Demand, record: RequestRecord
    ) -> web.StreamResponse:
        if form.request.is_stream:
            return await self._stream(EventStream(http, form, self.engine), form, demand, record)
        await form.sequence.ended
        if demand.has(Fault.CRASH_MID_GENERATION):
            self.engine.die()
            raise EngineDeadError
        if demand.has(Fault.ERROR_MID_STREAM):
            raise server_error(self.settings.flavour, _BROKEN_TEXT)
        if demand.has(Fault.STALL_MID_STREAM) and demand.fault is not None:
            await asyncio.sleep(demand.fault.seconds)
        self._ended(form, record)
        return send_whole(form, None if demand.has(Fault.NOT_DONE) else form.completion.finish_reason)

    async def _stream(
        self, stream: EventStream, form: ReplyForm, demand: Demand, record: RequestRecord
    ) -> web.StreamResponse:
        count = form.completion.count
        try:
            await stream.send(max(count // 2, 1) if demand.has(*_HALF_FAULTS) else count)
            if demand.has(Fault.CRASH_MID_GENERATION):
                self.engine.die()
            if demand.has(Fault.ERROR_MID_STREAM):
                return await stream.fail(_BROKEN_TEXT)
            if demand.has(Fault.NOT_DONE):
                return await stream.break_off()
            if demand.has(Fault.STALL_MID_STREAM) and demand.fault is not None:
                await asyncio.sleep(demand.fault.seconds)
            await stream.send(count)
        except EngineDeadError as dead:
            return await stream.fail(dead.text)
        self._ended(form, record)
        return await stream.finish()

    def _ended(self, form: ReplyForm, record: RequestRecord) -> None:
        completion, counts = form.completion, self.engine.counts
        record.output_tokens, record.done_reason = completion.count, completion.finish_reason
        counts.written_tokens += completion.count
        counts.drafts += completion.draft_steps
        counts.drafted_tokens += completion.drafted
        counts.accepted_tokens += len(completion.drafts)
        counts.reasons[completion.finish_reason] += 1

    async def _answer_at_edge(self, rule: FaultRule, host: str) -> web.StreamResponse:
        if rule.fault is Fault.BUSY:
            raise QueueFullError
        if rule.fault is Fault.EDGE_TIMEOUT:
            await asyncio.sleep(rule.seconds)
        return edge_response(rule, host)

    def _new_engine(self) -> Engine:
        settings = self.settings
        memory: BlockMemory | SlotMemory = (
            SlotMemory(settings.most_sequences)
            if settings.flavour is Flavour.LLAMA
            else BlockMemory(settings.kv_tokens, settings.block_tokens, settings.has_prefix_cache)
        )
        return Engine(settings, memory, SimulatedClock(settings.speed))
