"""Real and simulated S3 servers for the tests, and a proxy that makes faults before them."""
