"""The label scheme as a Dagster resource."""

from typing import Any

from dagster import ConfigurableResource

from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.settings.groups import LabelSettings

__all__ = ["LabelSchemeResource"]


class LabelSchemeResource(LabelSettings, ConfigurableResource[Any]):
    """The label scheme file."""

    def load(self) -> LabelScheme:
        """Reads the scheme; its few-shot examples are grounded as answers are.

        Raises:
            LabelSchemeError: the file is missing or not a label scheme.
        """
        return load_label_scheme(self.path)
