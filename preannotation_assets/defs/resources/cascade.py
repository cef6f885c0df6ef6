"""The small model of a cascade, and what decides about its answers, as a Dagster resource."""

from typing import Any

from dagster import ConfigurableResource
from pydantic import ValidationError

from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.errors import SettingsError
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.cascade import CHOSEN_DOUBTS, CascadeRule, Doubt
from preannotation_assets.lake import ObjectStore
from preannotation_assets.publishing.calibrations import load_calibration
from preannotation_assets.settings.cascade import CascadeSettings, same_model

__all__ = ["CascadeResource"]


class CascadeResource(CascadeSettings, ConfigurableResource[Any]):
    """A small model that is asked first; none where no model is named."""

    @property
    def is_on(self) -> bool:
        """Whether a small model is asked first."""
        return bool(self.model)

    def rule(self) -> CascadeRule:
        """What is asked of the large model."""
        counted = {Doubt(doubt) for doubt in self.doubts}
        return CascadeRule(self.threshold or 0.0, frozenset(CHOSEN_DOUBTS - counted))

    def small_server(self, large: ModelServerResource) -> ModelServerResource:
        """Where the small model is, asked as the large one is.

        Raises:
            SettingsError: a launch has set the large one to the same model, or an address is malformed.
        """
        if large.model == self.model:
            raise same_model(self.model)
        present = {name: getattr(large, name) for name in type(large).model_fields}
        own: dict[str, object] = {"model": self.model, "endpoints": self.endpoints or large.endpoints}
        if "revision" in present:
            own["revision"] = self.revision
        try:
            return type(large)(**{**present, **own})
        except ValidationError:
            raise SettingsError(
                "PREANNOTATION_CASCADE_URLS is malformed", "write HOST:PORT or http(s)://HOST:PORT"
            ) from None

    def load_calibration(self, store: ObjectStore) -> Calibration | None:
        """The calibration of the small model's confidences; None without one.

        Raises:
            SettingsError: there is none of that name or in that file.
            DamagedObjectError: what is there is no calibration.
            StorageError: the lake cannot be read.
        """
        return load_calibration(
            store,
            self.calibration,
            is_name=self.calibration_is_name,
            variable="PREANNOTATION_CASCADE_CALIBRATION",
        )
