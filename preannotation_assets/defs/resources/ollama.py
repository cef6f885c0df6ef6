"""Ollama as a Dagster resource."""

from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.settings.groups import OllamaSettings

__all__ = ["OllamaResource"]


class OllamaResource(OllamaSettings, ModelServerResource):
    """One or several Ollama servers with the same model.

    ``max_in_flight`` should not exceed the servers' OLLAMA_NUM_PARALLEL. A request that differs in
    ``num_ctx`` makes Ollama load the model anew.
    """

    def server(self) -> ModelServer:
        """Ollama's protocol."""
        return OllamaServer(self.keep_alive)
