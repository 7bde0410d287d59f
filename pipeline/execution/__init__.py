"""Execute notebooks and runs, and verify them."""
