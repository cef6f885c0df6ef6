"""A model at its servers, with all that a run needs before and while it asks. Plain data; no secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from preannotation_assets.extraction.answer_format import answer_format
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.prompt import Prompt, build_prompt
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.preflight import (
    ModelIdentity,
    identify_model,
    require_agent,
    require_honoured_schema,
    require_room,
    require_served_context,
)
from preannotation_assets.model_servers.preloading import preload
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

__all__ = ["ModelAccess"]


@dataclass(frozen=True, slots=True)
class ModelAccess:
    """One model, the endpoints that have it, and how they are asked.

    ``streamed`` are the endpoints whose answers are streamed. ``max_in_flight`` is requests an endpoint.
    ``self_reported`` says whether the model rates its answers.
    """

    server: ModelServer
    endpoints: tuple[str, ...]
    model: str
    options: ModelOptions
    timeouts: Timeouts
    policy: RetryPolicy
    streamed: frozenset[str]
    max_in_flight: int
    self_reported: bool

    def prompt(self, scheme: LabelScheme) -> Prompt:
        """Everything that is asked but the page.

        Raises:
            LabelSchemeError: a label that cannot be asked for, or a schema that the server would not keep to.
        """
        prompt = build_prompt(scheme, answer_format(self_reported=self.self_reported))
        require_honoured_schema(self.server, prompt)
        return prompt

    def require_room(self, prompt: Prompt, chunk_tokens: int) -> None:
        """Makes sure that prompt, a chunk of so many tokens and answer fit the context together.

        Raises:
            SettingsError: they do not.
        """
        require_room(prompt, chunk_tokens, self.options)

    def identify(self, environment: Mapping[str, str]) -> ModelIdentity:
        """Preflight: the model as it is on every endpoint; what is asked with is ``for_identity`` of it.

        Raises:
            InferenceError: in one line, what stands in the way.
            SettingsError: the context is longer than the servers allow.
        """
        identity = identify_model(
            self.server, self.endpoints, self.model, environment, self.timeouts, self.policy
        )
        require_served_context(identity, self.options)
        return identity

    def for_identity(self, identity: ModelIdentity) -> "ModelAccess":
        """The same, asking as the preflight found that these servers must be asked."""
        return replace(self, server=self.server.for_variant(identity.variant))

    def template(self, identity: ModelIdentity, prompt: Prompt) -> RequestTemplate:
        """Everything of a request but the page.

        Raises:
            ModelError: Argilla would not take suggestions in the name of this model.
        """
        template = RequestTemplate(self.model, identity.digest, prompt, self.options)
        require_agent(template)
        return template

    def preload(self, template: RequestTemplate, environment: Mapping[str, str]) -> None:
        """Loads the model everywhere and waits for it.

        Raises:
            InferenceError: it could not be loaded.
            SettingsError: it was loaded with a shorter context than asked for.
        """
        preload(self.server, self.endpoints, template, environment, self.timeouts, self.policy)
