"""Load images from their source into arrays."""
