"""OpenAI-compatible servers as a Dagster resource."""

from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.settings.servers import OpenAISettings

__all__ = ["OpenAIResource"]


class OpenAIResource(OpenAISettings, ModelServerResource):
    """One or several OpenAI-compatible servers with the same model.

    ``max_in_flight`` should not exceed what a server works on at once (vLLM's --max-num-seqs, llama-server's
    -np); what is above waits in its queue.
    """
