"""The four assets and their evaluation, one a file, each thin: read, call, write, report.

``asking``, ``collecting`` and ``outputs_batch`` belong to ``raw_model_outputs``, ``common`` to all.
"""
