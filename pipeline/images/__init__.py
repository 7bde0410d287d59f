"""Images, from their source to arrays."""
