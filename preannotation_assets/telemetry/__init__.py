"""What is told of a run while it goes on: progress, the table of requests, metrics."""
