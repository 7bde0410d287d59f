"""Show a small network with buttons to press in JupyterLab.

Elsewhere, as on GitHub and in the page of a notebook, its still picture is shown.
"""

import base64
from typing import Any

import anywidget
import traitlets

from lesson.assets import LESSON
from lesson.small_network import SmallNetwork


class Diagram(anywidget.AnyWidget):
    """A small network, drawn by the script small.js. It takes a SmallNetwork's fields.

    Raises InvalidInput if the shapes do not match.
    """

    _esm = LESSON.read_widget("diagram")
    _css = LESSON.read_style("live") + LESSON.read_style("network")
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, *fields: Any, **options: Any) -> None:
        self.network = SmallNetwork(*fields, **options)
        super().__init__(state=self.network.state)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], Any]:
        view, _ = super()._repr_mimebundle_(**options) or ({}, {})
        picture = base64.b64encode(self.network.to_png()).decode()
        alt = self.network.alt
        about = {"alt": alt, "width": 864}  # a figure of 9 inches
        return view | {"image/png": picture, "text/plain": alt}, {"image/png": about}
