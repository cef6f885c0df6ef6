"""The models of a server and their digests, which a fault may change under a run."""

from collections import Counter

from preannotation_assets.simulator.names import ModelName, parse_name, parse_reference
from preannotation_assets.simulator.refusals import RefusedError, cloud_disabled, model_not_found
from preannotation_assets.simulator.settings import SimulatedModel

__all__ = ["ModelShelf"]

_BAD_REQUEST = 400
_NO_INFERENCE = "remote model is unavailable"


class ModelShelf:
    """Looks models up by name, in whatever spelling Ollama takes for the same model."""

    def __init__(self, models: tuple[SimulatedModel, ...]) -> None:
        """Put ``models`` up."""
        self._models = {_key(model.name): model for model in models}
        self._revisions: Counter[str] = Counter()

    @property
    def models(self) -> tuple[SimulatedModel, ...]:
        """All models in the order of the settings."""
        return tuple(self._models.values())

    def find(self, name: str) -> SimulatedModel:
        """The model that ``/api/show`` is asked about.

        Raises ``RefusedError``: 400 for what is no name, 403 for one on ollama.com, 404 for an unknown one.
        """
        wanted = _checked_name(name, "remote model details are unavailable")
        model = self._models.get(wanted.key)
        if model is None:
            raise model_not_found(wanted.shortest)
        return model

    def find_for_answer(self, name: str) -> SimulatedModel:
        """The model of that name if it runs here.

        Raises ``RefusedError``: 400 for what is no name, 403 for a model on ollama.com, as with
        OLLAMA_NO_CLOUD, 404 for an unknown one.
        """
        model = self._models.get(_checked_name(name, _NO_INFERENCE).key)
        if model is None:
            raise model_not_found(name)
        if model.is_cloud:
            raise cloud_disabled(_NO_INFERENCE)
        return model

    def digest(self, model: SimulatedModel) -> str:
        """The digest now."""
        return model.digest(self._revisions[model.name])

    def change_digest(self, model: SimulatedModel) -> None:
        """Give the model another digest, as if it had been pulled again."""
        self._revisions[model.name] += 1

    def reset(self) -> None:
        """Take back all changes of digests."""
        self._revisions.clear()


def _checked_name(name: str, without_cloud: str) -> ModelName:
    if not name.strip():
        raise RefusedError(_BAD_REQUEST, "model is required")
    reference = parse_reference(name)
    if reference is None:
        raise RefusedError(_BAD_REQUEST, "invalid model name")
    if reference.is_cloud:
        raise cloud_disabled(without_cloud)
    return reference.name


def _key(name: str) -> str:
    parsed = parse_name(name)
    return parsed.key if parsed else name
