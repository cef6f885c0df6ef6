"""An evaluation of what is published: read page by page, written into the lake, told and shown."""

from .evaluating import EvaluationRules, evaluate_dataset

__all__ = ["EvaluationRules", "evaluate_dataset"]
