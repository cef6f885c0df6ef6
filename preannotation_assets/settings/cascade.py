"""The settings of a cascade: a small model that is asked first."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import CASCADE_VARIABLE
from preannotation_assets.settings.fields import Reading
from preannotation_assets.settings.groups import SettingsGroup, refused
from preannotation_assets.settings.publishing import CALIBRATION_NAME, absolute_calibration

__all__ = ["CascadeDoubt", "CascadeSettings", "same_model"]


class CascadeDoubt(StrEnum):
    """What may send a chunk to the large model, however sure the small one is."""

    empty = "empty"
    not_grounded = "not_grounded"
    invalid_value = "invalid_value"
    disagreement = "disagreement"


class CascadeSettings(SettingsGroup):
    """Which model is asked first, and which of its answers are asked of the large one."""

    model: Annotated[str, Reading(variables=("PREANNOTATION_CASCADE_MODEL",))] = Field(
        default="",
        description="A small model that is asked first; PREANNOTATION_MODEL is asked only where its answer is"
        " doubtful. Without it there is no cascade (docs/cascade.md).",
    )
    threshold: Annotated[float | None, Reading(variables=("PREANNOTATION_CASCADE_THRESHOLD",))] = Field(
        default=None,
        ge=0,
        le=1,
        description="The large model is asked where a suggestion of the small one is less confident than that"
        " (docs/cascade.md).",
    )
    doubts: Annotated[
        list[str],
        Reading(
            variables=("PREANNOTATION_CASCADE_DOUBTS",),
            expected=f"none, or some of {','.join(CascadeDoubt)}",
            default_shown=f"`{','.join(CascadeDoubt)}`",
        ),
    ] = Field(
        default=[doubt.value for doubt in CascadeDoubt],
        description="What else sends a chunk to the large model, comma-separated, or none (docs/cascade.md).",
    )
    calibration: Annotated[str, Reading(variables=("PREANNOTATION_CASCADE_CALIBRATION",))] = Field(
        default="",
        description="What confidences of the small model are calibrated by, as PREANNOTATION_CALIBRATION is"
        " for the large one's; without it they are compared and published as they are (docs/cascade.md).",
    )
    endpoints: Annotated[
        list[str],
        Reading(
            variables=(CASCADE_VARIABLE,),
            default_shown="the servers of PREANNOTATION_MODEL",
            may_hold_secret=True,
        ),
    ] = Field(
        default=[],
        description="Servers that have the small model, comma-separated, of the kind PREANNOTATION_SERVER.",
    )
    revision: Annotated[
        str, Reading(variables=("PREANNOTATION_CASCADE_REVISION",), expected="letters, digits and :._-/")
    ] = Field(
        default="",
        pattern=r"^[A-Za-z0-9:._/-]{0,100}$",
        description="Your name for the weights of the small model, as PREANNOTATION_SERVER_REVISION is for"
        " the large one's.",
    )

    @field_validator("doubts")
    @classmethod
    def _check_doubts(cls, doubts: list[str]) -> list[str]:
        # Plain texts: Dagster stores no enumeration of ours.
        return [] if doubts == ["none"] else [CascadeDoubt(doubt).value for doubt in doubts]

    @field_validator("calibration")
    @classmethod
    def _make_file_absolute(cls, calibration: str) -> str:
        return absolute_calibration(calibration)

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if self.model and self.threshold is None:
            raise _refused(
                "PREANNOTATION_CASCADE_MODEL has no threshold",
                "set PREANNOTATION_CASCADE_THRESHOLD, from 0 to 1 (docs/cascade.md)",
            )
        changed = self.model_fields_set - {"model"}
        if not self.model and (extra := [name for name in changed if self._differs(name)]):
            variable = "URLS" if extra == ["endpoints"] else sorted(extra)[0].upper()
            raise _refused(
                f"PREANNOTATION_CASCADE_{variable} is set and there is no small model to ask first",
                "set PREANNOTATION_CASCADE_MODEL, or take it away",
            )
        return self

    def _differs(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    @property
    def calibration_is_name(self) -> bool:
        """Whether the calibration is one of the lake, and not a file."""
        return CALIBRATION_NAME.fullmatch(self.calibration) is not None


def same_model(model: str) -> SettingsError:
    """What is told where one model would be asked twice."""
    return SettingsError(
        f"the model to ask first is {model!r}, and so is the one to ask after it",
        "set PREANNOTATION_CASCADE_MODEL to a smaller model, or take it away",
    )


def _refused(problem: str, cure: str) -> Exception:
    return refused(SettingsError(problem, cure))
