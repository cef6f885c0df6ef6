"""Try before you pay: a few pages of a batch are asked about, and shown; nothing is kept."""
