"""Running the notebooks: parameters, files, runs and reports. No mathematics lives here; that is helpers.py."""
