"""Which tests go to one process, where two share the work.

The marks that ``--dist loadgroup`` knows have no effect: pytest-xdist 3.8 writes a group behind the id of a
test, and pytest 9.2 does not read the ids that are written so. Groups are told by the place of a test here.
"""

from xdist.scheduler import LoadGroupScheduling

__all__ = ["TOGETHER", "PlaceScheduling"]

# Their tests share a fixture that takes half a minute and more to build.
TOGETHER = (
    "preannotation_assets_tests/argilla/",
    "preannotation_assets_tests/canary/test_canary.py",
    "preannotation_assets_tests/end_to_end/test_end_to_end_cluster.py",
    "preannotation_assets_tests/end_to_end/test_end_to_end_first_run.py",
    "preannotation_assets_tests/interface/",
    "preannotation_assets_tests/real_model/",
)


class PlaceScheduling(LoadGroupScheduling):
    """Gives the tests of each place to one process, and all others one by one to whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in TOGETHER if nodeid.startswith(place)), nodeid)
