"""Make pages that open without a network connection: executed notebooks, and runs."""
