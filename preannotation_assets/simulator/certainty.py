"""How probable the stand-in says an answer is: the one formula behind log-probabilities and digits."""

__all__ = ["stated_probability"]


def stated_probability(quality: float, chance: float, has_signal: bool) -> float:
    """A probability, at least 0.02: near 1 for ``quality`` 1, lower and more scattered below it.

    ``chance`` in [0, 1) scatters it. Without a signal every answer is stated as a right one is.
    """
    certainty = quality if has_signal else 1.0
    doubt = (1.02 - 0.98 * certainty) * (0.4 + 1.2 * chance)
    return max(1.0 - doubt, 0.02)
