"""Run the notebooks: parameters, runs, sweeps and reports. helpers.py is the network.

Importing this package has no side effects. Scripts of your own can use these:

    pipeline.parameters.from_values         check parameters
    pipeline.execution.runs.run             prepare, train, evaluate and report
    pipeline.execution.verification.verify  run again, and compare
    pipeline.sweeps.execution.run_sweep     train, select and report
    pipeline.results.run_folder.RunFolder   read the files of a run
    pipeline.errors                         the errors that these raise
"""
