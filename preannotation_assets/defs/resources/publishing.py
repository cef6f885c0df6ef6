"""What is published and what keeps it back, as a Dagster resource."""

from typing import Any

from dagster import ConfigurableResource

from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.lake import ObjectStore
from preannotation_assets.publishing.calibrations import load_calibration
from preannotation_assets.settings.publishing import CALIBRATION_NAME, BelowThreshold, PublishingSettings

__all__ = ["PublishingResource"]


class PublishingResource(PublishingSettings, ConfigurableResource[Any]):
    """What confidences are published, and how much a publication may take away from the one before."""

    @property
    def holds_back(self) -> bool:
        """Whether suggestions below the threshold of their label are left out."""
        return self.below_threshold is BelowThreshold.held_back

    def load_calibration(self, store: ObjectStore) -> Calibration | None:
        """The calibration that is configured; None without one.

        Raises:
            SettingsError: there is none of that name or in that file, or thresholds are wanted without one.
            DamagedObjectError: what is there is no calibration.
            StorageError: the lake cannot be read.
        """
        is_name = CALIBRATION_NAME.fullmatch(self.calibration) is not None
        return load_calibration(store, self.calibration, is_name=is_name)
