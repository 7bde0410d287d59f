"""Explore a trained network in JupyterLab: the panels of explore.ipynb, and what they show."""
