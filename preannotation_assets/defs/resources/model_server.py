"""Model servers as a Dagster resource: what they are asked with, and how hard they are pushed."""

import os
from typing import Any

from dagster import ConfigurableResource

from preannotation_assets.extraction.answer_format import answer_format
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.prompt import Prompt, build_prompt
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.preflight import (
    ModelIdentity,
    identify_model,
    preload,
    require_honoured_schema,
    require_room,
    require_served_context,
)
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate
from preannotation_assets.settings.groups import AskingSettings, GenerationSettings
from preannotation_assets.settings.servers import ServerSettings
from preannotation_assets.throttling.dispatcher import Limits

__all__ = ["ModelServerResource"]


class ModelServerResource(ServerSettings, GenerationSettings, AskingSettings, ConfigurableResource[Any]):
    """One or several servers of one kind with the same model.

    ``max_in_flight`` holds for every endpoint over all Spark tasks, and over all runs of one Dagster
    instance on one machine; ``num_ctx`` and ``num_predict`` are tokens and the same in every
    request.
    """

    def timeouts(self) -> Timeouts:
        """The time-outs of every request."""
        return Timeouts.for_silence(self.read_timeout, self.shortest_timeout)

    def limits(self) -> Limits:
        """How hard the endpoints are pushed, and when a run gives up."""
        return Limits(
            max_in_flight=self.max_in_flight,
            min_in_flight=min(self.min_in_flight, self.max_in_flight),
            max_failure_rate=self.max_failure_rate,
        )

    def retry_policy(self) -> RetryPolicy:
        """How often a request is repeated."""
        return RetryPolicy(attempts=self.attempts, first_backoff=self.first_backoff)

    def identify(self) -> ModelIdentity:
        """Preflight: the model's digest, the same on every endpoint.

        Raises:
            InferenceError: in one line, what stands in the way.
            SettingsError: the context is longer than the servers allow.
        """
        identity = identify_model(self.server(), self.addresses(), self.model, os.environ, self.timeouts())
        require_served_context(identity, self._options())
        return identity

    def prompt(self, scheme: LabelScheme) -> Prompt:
        """Everything that is asked but the page.

        Raises:
            LabelSchemeError: a label that cannot be asked for.
        """
        prompt = build_prompt(scheme, answer_format(self_reported=self.self_reported))
        require_honoured_schema(self.server(), prompt)
        return prompt

    def template(self, identity: ModelIdentity, prompt: Prompt) -> RequestTemplate:
        """Everything of a request but the page."""
        return RequestTemplate(self.model, identity.digest, prompt, self._options())

    def require_room(self, prompt: Prompt, chunk_tokens: int) -> None:
        """Makes sure that prompt, a chunk of so many tokens and answer fit the context together.

        Raises:
            SettingsError: they do not.
        """
        require_room(prompt, chunk_tokens, self._options())

    def _options(self) -> ModelOptions:
        return ModelOptions(context_tokens=self.num_ctx, answer_tokens=self.num_predict)

    def preload(self, template: RequestTemplate) -> None:
        """Loads the model everywhere and waits for it.

        Raises:
            InferenceError: it could not be loaded.
        """
        server, policy = self.server(), self.retry_policy()
        preload(server, self.addresses(), template, os.environ, self.timeouts(), policy)
