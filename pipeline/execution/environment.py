"""Define the environment variables that the process of a notebook gets."""

BACKEND = "module://matplotlib_inline.backend_inline"
# The last digits of a matrix product depend on the number of threads.
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
# ipykernel sets the variables below, too, but not those for the threads.
ENVIRONMENT = THREADS | {
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "GIT_PAGER": "cat",
    "MPLBACKEND": BACKEND,
    "PAGER": "cat",
    "TERM": "xterm-color",
}
