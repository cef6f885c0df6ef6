"""The label scheme as a Dagster resource."""

from typing import Any

from dagster import ConfigurableResource
from pydantic import Field

from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.label_file import load_label_scheme

__all__ = ["LabelSchemeResource"]


class LabelSchemeResource(ConfigurableResource[Any]):
    """The label scheme file."""

    path: str = Field(description="The label scheme, a YAML file.")

    def load(self) -> LabelScheme:
        """Reads the scheme; its few-shot examples are grounded as answers are.

        Raises:
            LabelSchemeError: the file is missing or not a label scheme.
        """
        return load_label_scheme(self.path)
