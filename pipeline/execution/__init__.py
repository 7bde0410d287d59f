"""Make whole runs, and verify them."""
