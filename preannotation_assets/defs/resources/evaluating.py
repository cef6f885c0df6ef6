"""How evaluations are made, as a Dagster resource."""

from typing import Any

from dagster import ConfigurableResource

from preannotation_assets.publishing.evaluation import EvaluationRules
from preannotation_assets.settings.evaluating import EvaluatingSettings

__all__ = ["EvaluatingResource"]


class EvaluatingResource(EvaluatingSettings, ConfigurableResource[Any]):
    """How what is published is held against what experts answered."""

    def rules(self) -> EvaluationRules:
        """What the settings say.

        Raises:
            SettingsError: a rule or a cost is none.
        """
        return EvaluationRules.parse(self.gold, self.action_costs, self.bootstrap_samples)
