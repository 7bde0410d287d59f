"""Run many configurations: definition, workers here or on a Dask cluster, execution, progress and tables."""
