"""Draw and train in a notebook as in a run's report: the same page and the same scripts, and Python gets what comes."""

import contextlib
from typing import Any

import anywidget
import numpy as np
import traitlets

from pipeline import parameters
from pipeline.errors import InvalidParameter
from pipeline.explore.reading import NEEDS_JUPYTERLAB
from pipeline.images import Classes
from pipeline.model import Model
from pipeline.records import Status
from pipeline.reports import pages, training
from pipeline.run_folder import RunFolder


class LivePanel(anywidget.AnyWidget):
    """Draw a digit and have it read; train the run's network again, or another one, and have that read, too."""

    _esm = "\n".join(map(pages.script, ("network", "draw", "train", "widget")))
    _css = pages.style("live")
    html = traitlets.Unicode().tag(sync=True)
    page = traitlets.Dict().tag(sync=True)
    source = traitlets.Unicode(pages.script("network")).tag(sync=True)  # for the worker that trains
    drawn = traitlets.CBytes(bytes(784)).tag(sync=True)  # cast from the buffer that comes
    trained = traitlets.Dict().tag(sync=True)

    def __init__(self, run_dir: str) -> None:
        folder = RunFolder(run_dir)
        record, chosen = folder.find_record(), None
        if record and record.status in (Status.DONE, Status.CHANGED):  # else its parameters are not these files'
            with contextlib.suppress(InvalidParameter):  # of another version
                chosen = parameters.from_values(record.parameters)
        parts = training.parts(folder, chosen, folder.find_metrics())
        html = pages.ENVIRONMENT.get_template("live.html.j2").render(live=parts)
        super().__init__(html=html, page=parts["page"])

    @property
    def image(self) -> np.ndarray:
        """Return what has been drawn, in the form of MNIST's digits: (784,) uint8, all 0 before anything is drawn."""
        return np.frombuffer(self.drawn, np.uint8)

    @property
    def model(self) -> Model | None:
        """Return the network that was last trained in the browser, None before one was."""
        if not self.trained:
            return None
        first, second = (np.frombuffer(self.trained[name], "<f8") for name in ("first", "second"))
        classes = Classes(self.page["training"]["parameters"]["classes"])
        return Model(first.reshape(784, -1), second.reshape(-1, 10), float(self.trained["normalisation"]), classes)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        bundle["text/plain"] = f"A panel: draw a digit, train again. {NEEDS_JUPYTERLAB}"
        return bundle, metadata
