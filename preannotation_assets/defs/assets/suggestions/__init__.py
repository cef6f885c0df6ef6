"""The asset that publishes suggestions, what they are made of, and what is told of them."""
