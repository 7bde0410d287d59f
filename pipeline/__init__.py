"""Execute the notebooks as runs and sweeps, compare the results, and write reports.

The network itself is in helpers.py. Importing this package has no side effects. Your
own scripts can use these functions and classes:

    pipeline.parameters.from_values         check the parameters of a run
    pipeline.execution.runs.run             make a run, and write its report
    pipeline.execution.verification.verify  repeat a run, and compare the results
    pipeline.sweeps.execution.run_sweep     train the points of a sweep, and report
    pipeline.results.run_folder.RunFolder   read the files of a run
    pipeline.errors                         the errors that these functions raise
"""
