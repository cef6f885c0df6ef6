"""Which datasets of the warehouse are not published as they are, and what to do about each."""
