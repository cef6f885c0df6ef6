"""The settings of publications."""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, field_validator

from preannotation_assets.settings.fields import Reading
from preannotation_assets.settings.groups import SettingsGroup, absolute_path

__all__ = ["CALIBRATION_NAME", "BelowThreshold", "PublishingSettings", "absolute_calibration"]

CALIBRATION_NAME: Final = re.compile("[0-9a-f]{16}")
"""Of a calibration in the lake; any other text is a file."""


class BelowThreshold(StrEnum):
    """What becomes of a suggestion below the threshold of its label."""

    published = "published"
    held_back = "held_back"


class PublishingSettings(SettingsGroup):
    """What confidences are published, and what keeps a suggestion or all of them back."""

    calibration: str = Field(
        default="",
        description="What confidences are calibrated by: the name that preannotate calibrate tells, or a "
        "file; without it they are not (docs/calibration.md).",
    )
    below_threshold: BelowThreshold = Field(
        default=BelowThreshold.published,
        description="What becomes of suggestions that by the calibration cost more actions than they save "
        "(docs/calibration.md).",
    )

    most_rows_lost: Annotated[float, Reading(is_seldom=True)] = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of the rows published before that may be gone from pages that were asked the same;"
        " above it nothing is published. 1 publishes whatever is lost (docs/storage.md).",
    )

    @field_validator("calibration")
    @classmethod
    def _make_file_absolute(cls, calibration: str) -> str:
        return absolute_calibration(calibration)


def absolute_calibration(calibration: str) -> str:
    """A calibration as a setting has it: a name, or nothing, as it is, and a file from the present folder."""
    is_name = not calibration or CALIBRATION_NAME.fullmatch(calibration)
    return calibration if is_name else absolute_path(calibration)
