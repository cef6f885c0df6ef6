"""Ollama as a Dagster resource."""

from pydantic import Field

from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.settings import DEFAULT_ENDPOINT, parse_endpoint

__all__ = ["OllamaResource"]


class OllamaResource(ModelServerResource):
    """One or several Ollama servers with the same model.

    ``max_in_flight`` should not exceed the servers' OLLAMA_NUM_PARALLEL. A request that differs in
    ``num_ctx`` makes Ollama load the model anew.
    """

    endpoints: list[str] = Field(default=[DEFAULT_ENDPOINT], description="Base URLs of the servers.")
    keep_alive: str = Field(default="30m", description="How long the model stays loaded after a request.")

    def server(self) -> ModelServer:
        """Ollama's protocol."""
        return OllamaServer(self.keep_alive)

    def addresses(self) -> list[str]:
        """The endpoints, normalised and without repeats.

        Raises:
            SettingsError: there is none, or one is not an address.
        """
        addresses = list(dict.fromkeys(parse_endpoint(endpoint) for endpoint in self.endpoints))
        if not addresses:
            raise SettingsError("no Ollama endpoint is configured", "set OLLAMA_HOST")
        return addresses
