"""Execute single notebooks and whole runs, and verify runs."""
