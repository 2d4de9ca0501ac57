"""States, backoff and leases over one table."""
