"""What is told of a dataset that the warehouse does not have."""

from preannotation_assets.errors import BatchError
from preannotation_assets.visible_text import visible_line
from preannotation_assets.warehouse import Warehouse

__all__ = ["no_pages"]


def no_pages(source: Warehouse, dataset: str) -> BatchError:
    """The error about a dataset without pages; names those that may have been meant.

    Raises:
        WarehouseError: the view cannot be evaluated.
    """
    names = [visible_line(name) for name in source.similar_names(dataset)]
    cure = (
        f"there is {', '.join(names)}"
        if names
        else "check the name of the dataset; preannotate datasets lists all"
    )
    return BatchError(f"the warehouse has no pages of {visible_line(dataset)}", cure)
