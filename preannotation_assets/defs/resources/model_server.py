"""Model servers as a Dagster resource: what they are asked with, and how hard they are pushed."""

import os
from abc import abstractmethod
from typing import Any

from dagster import ConfigurableResource
from pydantic import Field

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
)
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate
from preannotation_assets.throttling.dispatcher import Limits

__all__ = ["ModelServerResource"]


class ModelServerResource(ConfigurableResource[Any]):
    """One or several servers of one kind with the same model.

    ``max_in_flight`` holds for every endpoint over all Spark tasks, and over all runs of one Dagster
    instance on one machine; ``num_ctx`` and ``num_predict`` are tokens and the same in every
    request.
    """

    model: str = Field(description="The model, e.g. llama3.3:70b.")
    max_in_flight: int = Field(default=4, ge=1, description="Requests in flight at each endpoint, at most.")
    num_ctx: int = Field(default=12288, ge=512, description="Context length in tokens: prompt and answer.")
    num_predict: int = Field(default=3072, ge=16, description="Longest answer in tokens.")
    chunk_tokens: int = Field(default=6000, ge=64, description="Tokens of page text in a request, at most.")
    overlap_tokens: int = Field(default=200, ge=0, description="Tokens that neighbouring chunks share.")
    stream: str = Field(default="auto", description="auto streams over https only; always; never.")
    attempts: int = Field(default=6, ge=1, description="Attempts at a request that no server serves.")
    first_backoff: float = Field(default=1.0, gt=0, description="Longest first wait, seconds.")
    min_in_flight: int = Field(default=1, ge=1, description="As few as that when the server is overloaded.")
    max_failure_rate: float = Field(
        default=0.3, gt=0, le=1, description="Of the last 100 chunks; above it the run stops early."
    )
    read_timeout: float = Field(default=900.0, gt=0, description="Longest silence of a server, seconds.")
    shortest_timeout: float = Field(
        default=300.0, gt=0, description="What an answer may take however fast the model is, seconds."
    )
    second_pass_below: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Chunks with a value less probable than that are asked about twice; none by default.",
    )
    self_reported: bool = Field(
        default=False, description="Whether the model is asked how sure it is, by a digit behind every quote."
    )
    flush_seconds: float = Field(
        default=3.0, gt=0, description="Answers are durable after this many seconds."
    )

    @abstractmethod
    def server(self) -> ModelServer:
        """What differs between kinds of servers."""

    @abstractmethod
    def addresses(self) -> list[str]:
        """The endpoints, normalised and without repeats.

        Raises:
            SettingsError: there is none, or one is not an address.
        """

    def timeouts(self) -> Timeouts:
        """The time-outs of every request."""
        return Timeouts(
            first_token=self.read_timeout,
            total=2 * self.read_timeout,
            shortest_total=min(self.shortest_timeout, self.read_timeout),
        )

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
        """
        return identify_model(self.server(), self.addresses(), self.model, os.environ, self.timeouts())

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

    def require_room(self, prompt: Prompt) -> None:
        """Makes sure that prompt, chunk and answer fit the context together.

        Raises:
            SettingsError: they do not.
        """
        require_room(prompt, self.chunk_tokens, self._options())

    def _options(self) -> ModelOptions:
        return ModelOptions(context_tokens=self.num_ctx, answer_tokens=self.num_predict)

    def preload(self, template: RequestTemplate) -> None:
        """Loads the model everywhere and waits for it.

        Raises:
            InferenceError: it could not be loaded.
        """
        server, policy = self.server(), self.retry_policy()
        preload(server, self.addresses(), template, os.environ, self.timeouts(), policy)
