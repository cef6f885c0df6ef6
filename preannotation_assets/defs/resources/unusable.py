"""What stands for every resource while the settings are malformed."""

from typing import Never

from preannotation_assets.errors import SettingsError

__all__ = ["UnusableResource"]


class UnusableResource:
    """A resource that says what is wrong with the settings as soon as it is used.

    It fails in the step that uses it, not when it is set up: Dagster would take that for a crash and start
    the run twice more.
    """

    def __init__(self, problem: str, cure: str) -> None:
        self._problem = problem
        self._cure = cure

    def __getattr__(self, name: str) -> Never:
        """Stands for every method of every resource.

        Raises:
            SettingsError: always, but for names with an underscore: Python and Dagster look for some.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        raise SettingsError(self._problem, self._cure)
