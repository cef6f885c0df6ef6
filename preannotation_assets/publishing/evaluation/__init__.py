"""What experts made of what is published: the evaluation, told and shown; and a calibration fitted to it."""

from .calibrating import calibrate_datasets
from .evaluating import EvaluationRules, evaluate_dataset

__all__ = ["EvaluationRules", "calibrate_datasets", "evaluate_dataset"]
