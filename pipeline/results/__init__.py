"""The files of a run, and what they depend on."""
