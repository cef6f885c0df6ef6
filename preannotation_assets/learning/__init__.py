"""``preannotate labels learn``: few-shot examples out of reviewed pages, and whether they help."""
