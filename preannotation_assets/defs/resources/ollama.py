"""Ollama as a Dagster resource."""

from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.settings.servers import OllamaSettings

__all__ = ["OllamaResource"]


class OllamaResource(OllamaSettings, ModelServerResource):
    """One or several Ollama servers with the same model.

    ``max_in_flight`` should not exceed the servers' OLLAMA_NUM_PARALLEL. A request that differs in
    ``num_ctx`` makes Ollama load the model anew.
    """
