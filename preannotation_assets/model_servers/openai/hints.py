"""What a server could do better for this work, from its metrics and from one reply. Pure.

Options as vLLM 0.32 has them; docs/model-servers.md tells what they are good for.
"""

import re
from collections.abc import Mapping
from typing import Final

from preannotation_assets.model_servers.json_values import as_count
from preannotation_assets.model_servers.openai.canary import CanaryReply

__all__ = ["canary_hints", "metrics_hints", "slots_hints"]

_IS_VLLM: Final = re.compile(rb"^vllm:", re.MULTILINE)
_DRAFTS: Final = re.compile(rb"^vllm:spec_decode_", re.MULTILINE)
_NO_PREFIX_CACHE: Final = re.compile(
    rb'^vllm:cache_config_info\{[^}\n]*enable_prefix_caching="False"', re.MULTILINE
)


def metrics_hints(metrics: bytes) -> list[str]:
    """What a page of metrics in Prometheus' text format shows to be off; nothing where it is no such page."""
    if not _IS_VLLM.search(metrics):
        return []
    hints = []
    if not _DRAFTS.search(metrics):
        hints.append(
            "vLLM runs without speculative decoding; answers are quotes, which n-gram drafts guess:"
            ' --speculative-config \'{"method":"ngram",…}\' (docs/model-servers.md)'
        )
    if _NO_PREFIX_CACHE.search(metrics):
        hints.append("vLLM reads the same instructions anew each time: start it with --enable-prefix-caching")
    return hints


def canary_hints(canary: CanaryReply) -> list[str]:
    """What one reply shows."""
    hints = []
    if not canary.is_compact:
        hints.append(
            "vLLM lets a model write blanks without end: --structured-outputs-config"
            ' \'{"backend":"guidance","disable_any_whitespace":true}\''
        )
    if not canary.tells_cached_tokens:
        hints.append("vLLM does not tell how much of a prompt was cached: --enable-prompt-tokens-details")
    return hints


def slots_hints(properties: Mapping[str, object]) -> list[str]:
    """What llama-server's ``/props`` shows: how many requests it works on at once."""
    slots = as_count(properties.get("total_slots"))
    if not slots:
        return []
    return [
        f"llama-server works on {slots} requests at once: more in PREANNOTATION_MAX_IN_FLIGHT only wait there"
    ]
