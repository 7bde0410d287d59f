"""Running the notebooks: parameters, runs, sweeps and reports. The network is in helpers.py."""
