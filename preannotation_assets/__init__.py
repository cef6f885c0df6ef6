"""Pre-annotation of OCR pages by a language model, as Dagster assets."""
