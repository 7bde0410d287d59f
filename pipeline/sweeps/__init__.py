"""Run many configurations on a Dask cluster: definition, workers, execution, progress, and the tables of the report."""
