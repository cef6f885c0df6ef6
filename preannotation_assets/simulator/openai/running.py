"""Running the stand-in for OpenAI-compatible servers: as a process, or in a thread beside a test."""

from preannotation_assets.simulator.hosting import RunningStandIn, serve_until_signal
from preannotation_assets.simulator.openai.server import OpenAiServer
from preannotation_assets.simulator.openai.settings import OpenAiSettings

__all__ = ["RunningOpenAiSimulator", "serve"]


def serve(settings: OpenAiSettings) -> None:
    """Serve until SIGTERM or SIGINT, as ``serve_until_signal`` does."""
    serve_until_signal(lambda: OpenAiServer(settings))


class RunningOpenAiSimulator(RunningStandIn):
    """A stand-in for vLLM or llama.cpp's server in a thread, for the time of a ``with`` block."""

    def __init__(self, settings: OpenAiSettings | None = None) -> None:
        """Prepare; entering the block starts."""
        super().__init__(lambda: OpenAiServer(settings or OpenAiSettings()))
