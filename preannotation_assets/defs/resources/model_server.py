"""Model servers as a Dagster resource: what they are asked with, and how hard they are pushed."""

from typing import Any

from dagster import ConfigurableResource

from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.settings.groups import AskingSettings, GenerationSettings
from preannotation_assets.settings.model_access import model_access, most_in_flight
from preannotation_assets.settings.servers import ServerSettings
from preannotation_assets.throttling.dispatcher import Limits

__all__ = ["ModelServerResource"]


class ModelServerResource(ServerSettings, GenerationSettings, AskingSettings, ConfigurableResource[Any]):
    """One or several servers of one kind with the same model.

    ``max_in_flight`` holds for every endpoint over all Spark tasks, and over all runs of one Dagster
    instance on one machine; ``num_ctx`` and ``num_predict`` are tokens and the same in every
    request.
    """

    def access(self) -> ModelAccess:
        """The model at these servers."""
        return model_access(self, self, self)

    def limits(self) -> Limits:
        """How hard the endpoints are pushed, and when a run gives up."""
        most = most_in_flight(self, self)
        return Limits(
            max_in_flight=most,
            min_in_flight=min(self.min_in_flight, most),
            max_failure_rate=self.max_failure_rate,
        )
