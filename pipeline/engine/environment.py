"""Define the environment variables of the processes that execute notebooks."""

BACKEND = "module://matplotlib_inline.backend_inline"
# Each library uses one thread, because the last digits of a matrix product depend on
# the number of threads.
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
# ipykernel also sets the variables below for its kernels, but it does not set THREADS.
ENVIRONMENT = THREADS | {
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "GIT_PAGER": "cat",
    "MPLBACKEND": BACKEND,
    "PAGER": "cat",
    "TERM": "xterm-color",
}
