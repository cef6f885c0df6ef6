"""What differs between model servers, and nothing else."""
