"""Execute one notebook in one process, without a Jupyter kernel."""
