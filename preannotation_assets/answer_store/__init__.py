"""The answers that were paid for: index, writer, compaction."""
