"""The settings of evaluations."""

from typing import Annotated

from pydantic import Field

from preannotation_assets.settings.fields import Reading
from preannotation_assets.settings.groups import SettingsGroup

__all__ = ["EvaluatingSettings"]


class EvaluatingSettings(SettingsGroup):
    """How what is published is held against what experts answered."""

    gold: str = Field(
        default="latest",
        description="Which of several experts' answers about a page counts as right: latest, majority, or "
        "annotator:NAME (docs/evaluation.md).",
    )
    action_costs: Annotated[str, Reading(default_shown="`add=2,delete=1,change_label=2,redraw=2,keep=0`")] = (
        Field(
            default="",
            description="What an expert's actions cost, for the share of them that suggestions save; what is "
            "left out has its default (docs/evaluation.md).",
        )
    )
    bootstrap_samples: Annotated[int, Reading(is_seldom=True)] = Field(
        default=1000,
        ge=0,
        le=100_000,
        description="How many times documents are drawn for the intervals of an evaluation; 0 for none.",
    )
