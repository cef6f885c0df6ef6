"""The sample batch: invented vessel documents to try the pipeline on."""

__all__: list[str] = []
