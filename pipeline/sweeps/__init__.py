"""Run sweeps: train many points, rank their configurations, and write reports."""
