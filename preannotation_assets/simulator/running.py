"""Running the stand-in for Ollama: as a process of its own, or in a thread beside a test."""

from preannotation_assets.simulator.hosting import RunningStandIn, serve_until_signal
from preannotation_assets.simulator.server import StandInServer
from preannotation_assets.simulator.settings import SimulatorSettings

__all__ = ["RunningSimulator", "serve"]


def serve(settings: SimulatorSettings) -> None:
    """Serve until SIGTERM or SIGINT, as ``serve_until_signal`` does."""
    serve_until_signal(lambda: StandInServer(settings))


class RunningSimulator(RunningStandIn):
    """A stand-in for Ollama in a thread, for the time of a ``with`` block."""

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        """Prepare; entering the block starts."""
        super().__init__(lambda: StandInServer(settings or SimulatorSettings()))
