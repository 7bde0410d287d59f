"""Define what was published: metrics, and the code that gives them."""

PUBLISHED = {
    "train_error": "0.420",
    "train_accuracy": "0.817",
    "test_error": "0.429",
    "test_accuracy": "0.7942",
}
# The digest of the weights of the default run.
WEIGHTS_SHA256 = "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"
# The digest of the code of the published helpers.py, see `digests.digest_code`.
HELPERS_SHA256 = "38233bf47ef83c3b2c619dae887c2d52a3fbb8e3f457efb7a818a8e769cac8a7"
# This note is shown wherever another version of helpers.py trains.
NOTE = (
    "The compiled loops support only the published helpers.py. This network trains "
    "without the loops: 9 to 30 times slower, and last digits may differ by machine."
)


def cut(error: float) -> str:
    """Format an error as the original prints it: cut to five characters, not rounded.

    Below 0.0001 and from 100,000 on, an error is formatted in another way, because the
    first five characters would be misleading.
    """
    if error >= 1e5:  # the first five characters of 123456.7 are 12345
        return f"{error:.0e}"
    return f"{error:.9f}"[:5] if error < 1e-4 else str(error)[:5]
