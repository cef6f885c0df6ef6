"""The models of a server and their digests, which a fault may change under a run."""

from collections import Counter

from preannotation_assets.simulator.refusals import RefusedError, model_not_found
from preannotation_assets.simulator.settings import SimulatedModel

__all__ = ["ModelShelf"]


class ModelShelf:
    """Looks models up by name; ``llama3.3`` is ``llama3.3:latest``, as in Ollama."""

    def __init__(self, models: tuple[SimulatedModel, ...]) -> None:
        """Put ``models`` up."""
        self._models = {model.name: model for model in models}
        self._revisions: Counter[str] = Counter()

    @property
    def models(self) -> tuple[SimulatedModel, ...]:
        """All models in the order of the settings."""
        return tuple(self._models.values())

    def find(self, name: str) -> SimulatedModel:
        """The model of that name; raises ``RefusedError`` (404) without one."""
        full_name = name if ":" in name else f"{name}:latest"
        model = self._models.get(name) or self._models.get(full_name)
        if model is None:
            raise model_not_found(name)
        return model

    def find_for_answer(self, name: str) -> SimulatedModel:
        """The model of that name if it runs here.

        Raises ``RefusedError``: 404 for an unknown name, 401 for a cloud model, as nobody is signed in
        to ollama.com.
        """
        if name.endswith((":cloud", "-cloud")) and name not in self._models:
            raise RefusedError(401, "unauthorized")
        model = self.find(name)
        if model.is_cloud:
            raise RefusedError(401, "unauthorized")
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
