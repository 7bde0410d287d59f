"""Train many points here or on a cluster, rank their configurations, and report."""
