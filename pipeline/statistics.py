"""Write metrics, and estimate how certain an accuracy is."""

import math


def rounded(metric: float, sign: str = "") -> str:
    """Write a metric in four decimals, or, where it is large, in four digits. sign: "+" to write that, too."""
    return f"{metric:{sign}.4f}" if abs(metric) < 1e5 else f"{metric:{sign}.3e}"


def wilson_interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy (fraction), measured on so many images (1 or more).

    If such an interval is made for each of many test sets, 95 in 100 of them hold the accuracy on all images of their
    kind. Unlike the accuracy plus and minus two standard errors, it stays within 0 and 1 and does not shrink to nothing
    there.

    Source: E. Wilson (1927), Probable inference, the law of succession, and statistical inference, Journal of the
    American Statistical Association 22, 209-212.
    """
    z = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations
    shrink = 1 + z**2 / images
    centre = (accuracy + z**2 / (2 * images)) / shrink
    reach = z * math.sqrt(accuracy * (1 - accuracy) / images + z**2 / (4 * images**2)) / shrink
    return max(0.0, centre - reach), min(1.0, centre + reach)
