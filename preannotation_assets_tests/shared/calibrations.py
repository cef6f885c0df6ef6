"""A calibration whose effect is known beforehand."""

from collections.abc import Mapping

from preannotation_assets.extraction.calibrated import Calibration, CalibrationFit, IsotonicMap

__all__ = ["halving"]


def halving(thresholds: Mapping[str, float] | None = None, *versions: str) -> Calibration:
    """Every confidence is worth half of it."""
    return Calibration(
        isotonic=IsotonicMap((0.0, 1.0), (0.0, 0.5)),
        logistic=None,
        thresholds=thresholds or {},
        correction_actions=2.0,
        model_versions=versions or ("v",),
        fit=CalibrationFit(20, 400, 0.25, 0.2, 0.125, 0.03),
    )
