"""Cost against quality: accuracy tables, the frontier, plots, the report."""
