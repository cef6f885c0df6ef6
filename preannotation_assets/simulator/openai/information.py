"""What a server says of itself: models, health, metrics, and llama.cpp's properties and slots."""

import time
from collections.abc import Iterator

from preannotation_assets.simulator.openai.answering import Answering
from preannotation_assets.simulator.openai.settings import Flavour
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["metrics_text", "model_list", "properties", "slots"]

_VOCABULARY_SIZE = 128_256


def model_list(answering: Answering) -> JsonObject:
    """``/v1/models``; ``created`` is the time of the call, as in both servers."""
    settings = answering.settings
    model, created = settings.model, int(time.time())
    if settings.flavour is Flavour.LLAMA:
        name = model.names[0]
        meta: JsonObject = {
            "vocab_type": 2,
            "n_vocab": _VOCABULARY_SIZE,
            "n_ctx": settings.window,
            "n_ctx_train": 131_072,
            "n_embd": 8_192,
            "n_params": model.parameters,
            "size": model.size + answering.revision,
            "ftype": model.file_type,
        }
        entry: JsonObject = {
            "id": name,
            "aliases": list(model.names[1:]),
            "object": "model",
            "created": created,
            "owned_by": "llamacpp",
            "meta": meta,
        }
        listed: JsonObject = {"name": name, "model": name, "type": "model", "details": {"family": "stand-in"}}
        return {"models": [listed], "object": "list", "data": [entry]}
    root = model.root if not answering.revision else f"{model.root}-revision-{answering.revision}"
    data: list[JsonValue] = [
        {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "vllm",
            "root": root,
            "parent": None,
            "max_model_len": settings.window,
            "permission": [],
        }
        for name in model.names
    ]
    return {"object": "list", "data": data}


def properties(answering: Answering) -> JsonObject:
    """``/props`` of llama.cpp's server."""
    settings = answering.settings
    return {
        "default_generation_settings": {"n_ctx": settings.window},
        "total_slots": settings.most_sequences,
        "model_alias": settings.model.names[0],
        "model_path": settings.model.root,
        "build_info": answering.fingerprint,
        "chat_template": "stand-in",
    }


def slots(answering: Answering) -> list[JsonValue]:
    """``/slots`` of llama.cpp's server: the busy ones come first here."""
    settings = answering.settings
    busy = answering.engine.running
    return [
        {
            "id": number,
            "n_ctx": settings.window,
            "speculative": settings.speculates,
            "is_processing": number < busy,
        }
        for number in range(settings.most_sequences)
    ]


def metrics_text(answering: Answering) -> str:
    """``/metrics`` in Prometheus' text format."""
    is_llama = answering.settings.flavour is Flavour.LLAMA
    lines = _llama_lines(answering) if is_llama else _vllm_lines(answering)
    return "\n".join(lines) + "\n"


def _vllm_lines(answering: Answering) -> Iterator[str]:
    engine, counts = answering.engine, answering.engine.counts
    labels = f'{{engine="0",model_name="{answering.settings.model.names[0]}"}}'
    gauges = {
        "num_requests_running": engine.running,
        "num_requests_waiting": engine.left_waiting,
        "kv_cache_usage_perc": engine.memory.usage(),
    }
    totals = {
        "prefix_cache_queries_total": counts.prompt_tokens,
        "prefix_cache_hits_total": counts.cached_tokens,
        "prompt_tokens_total": counts.prompt_tokens,
        "prompt_tokens_cached_total": counts.cached_tokens,
        "generation_tokens_total": counts.written_tokens,
        "num_preemptions_total": counts.preemptions,
        "admission_rejections_total": counts.rejections,
    }
    if answering.settings.speculates:
        totals["spec_decode_num_drafts_total"] = counts.drafts
        totals["spec_decode_num_draft_tokens_total"] = counts.drafted_tokens
        totals["spec_decode_num_accepted_tokens_total"] = counts.accepted_tokens
    for name, value in gauges.items():
        yield f"# TYPE vllm:{name} gauge"
        yield f"vllm:{name}{labels} {value}"
    yield "# TYPE vllm:num_requests_waiting_by_reason gauge"
    yield f'vllm:num_requests_waiting_by_reason{labels[:-1]},reason="capacity"}} {engine.left_waiting}'
    for name, value in totals.items():
        yield f"# TYPE vllm:{name.removesuffix('_total')} counter"
        yield f"vllm:{name}{labels} {value}"
    yield "# TYPE vllm:request_success counter"
    for reason, number in counts.reasons.items():
        yield f'vllm:request_success_total{labels[:-1]},finished_reason="{reason}"}} {number}'
    yield from _histogram("request_queue_time_seconds", labels, counts.admitted, counts.queue_seconds)
    yield from _histogram("time_to_first_token_seconds", labels, counts.begun, counts.first_token_seconds)
    yield from _histogram("e2e_request_latency_seconds", labels, counts.finished, counts.latency_seconds)


def _histogram(name: str, labels: str, count: int, seconds: float) -> Iterator[str]:
    """A histogram of one bucket: its count and its sum are what a client reads."""
    yield f"# TYPE vllm:{name} histogram"
    yield f'vllm:{name}_bucket{labels[:-1]},le="+Inf"}} {count}'
    yield f"vllm:{name}_count{labels} {count}"
    yield f"vllm:{name}_sum{labels} {seconds}"


def _llama_lines(answering: Answering) -> Iterator[str]:
    engine, counts = answering.engine, answering.engine.counts
    busy = counts.sequence_steps / counts.steps if counts.steps else 0.0
    values = {
        "requests_processing": ("gauge", engine.running),
        "requests_deferred": ("gauge", engine.waiting),
        "prompt_tokens_total": ("counter", counts.prompt_tokens - counts.cached_tokens),
        "prompt_tokens_cached_total": ("counter", counts.cached_tokens),
        "tokens_predicted_total": ("counter", counts.written_tokens),
        "n_decode_total": ("counter", counts.steps),
        "n_busy_slots_per_decode": ("gauge", busy),
    }
    for name, (kind, value) in values.items():
        yield f"# TYPE llamacpp:{name} {kind}"
        yield f"llamacpp:{name} {value}"
