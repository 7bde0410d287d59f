"""Make pages that open without a network: executed notebooks, runs, and the list of all runs."""
