"""Who may ask now: permits, limits of each endpoint, the cap over all runs of a machine."""
