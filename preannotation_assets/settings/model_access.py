"""The model and its servers, as the settings say. Imports what asks; the other settings stay light."""

from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.stream_choice import streams
from preannotation_assets.model_servers.template import ModelOptions
from preannotation_assets.settings.groups import AskingSettings, GenerationSettings
from preannotation_assets.settings.servers import ServerSettings

__all__ = ["model_access", "most_in_flight"]


def model_access(
    servers: ServerSettings, generation: GenerationSettings, asking: AskingSettings
) -> ModelAccess:
    """What to ask with."""
    endpoints = tuple(servers.addresses())
    most = most_in_flight(servers, asking)
    return ModelAccess(
        server=servers.server(),
        endpoints=endpoints,
        model=generation.model,
        options=ModelOptions(
            context_tokens=generation.num_ctx,
            answer_tokens=generation.num_predict,
            temperature=generation.temperature,
            seed=generation.seed,
        ),
        timeouts=Timeouts.for_silence(asking.read_timeout, asking.shortest_timeout),
        policy=RetryPolicy(attempts=asking.attempts, first_backoff=asking.first_backoff),
        streamed=frozenset(each for each in endpoints if streams(asking.stream, each, most)),
        max_in_flight=most,
        self_reported=generation.self_reported,
    )


def most_in_flight(servers: ServerSettings, asking: AskingSettings) -> int:
    """Requests at each server, at most: what is configured, or what is usual for its kind."""
    return servers.usual_in_flight if asking.max_in_flight is None else asking.max_in_flight
