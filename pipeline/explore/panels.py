"""Show a panel of controls in JupyterLab that reads test digits, with hidden units dropped."""

import base64
import html
import string
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

import helpers
from pipeline import plots
from pipeline.datasets import Data
from pipeline.explore import reading
from pipeline.run_folder import Model

ALIVE = "It is alive in JupyterLab, after Run All."


def named(kind: type[widgets.Widget], description: str, width: str = "12em", **options: Any) -> widgets.Widget:
    """Make a control with its description whole beside it, which reports a change when it is complete.

    Selection lists are not used: JupyterLab takes arrow keys and letters away from them, as commands on cells.
    """
    if kind is not widgets.Checkbox:
        options["continuous_update"] = False
    style = {"description_width": "initial"}
    return kind(description=description, style=style, layout={"width": width}, **options)


def row(*controls: widgets.Widget) -> widgets.Box:
    return widgets.Box(controls, layout={"flex_flow": "row wrap", "align_items": "center"})


def button(description: str, pressed: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=description, layout={"width": "max-content"})
    button.on_click(lambda _: pressed())
    return button


class ReadingPanel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Choose a test digit, switch hidden units off, and see how the network reads it.

    model: the network in use, the run's own or one that has been trained in the browser.
    """

    def __init__(self, data: Data, model: Model) -> None:
        self.data = data
        self.own = self.model = self.trained = model
        self.rng = np.random.RandomState(1)
        digits = [*string.digits]
        self.mistakes = named(widgets.Checkbox, "Mistakes only", indent=False)
        self.digit = named(widgets.Combobox, "True digit", options=digits, placeholder="any")
        self.answer = named(widgets.Combobox, "Answer", options=digits, placeholder="any")
        self.index = named(widgets.BoundedIntText, "Test image", min=0, max=len(data.x_test) - 1)
        self.next = button("Next such image", self.go_on)
        self.found = widgets.HTML()
        self.dropped = named(widgets.Text, "Dropped units", "54em", placeholder="none; or such as 3, 15-17")
        self.rate = named(widgets.FloatSlider, "Dropout rate", "24em", value=0.5, min=0, max=0.9, step=0.1)
        self.draw_mask = button("Draw a dropout mask", self.drop_at_random)
        self.reset = button("All units on", self.drop_none)
        unusable = {"indent": False, "disabled": True}
        self.use = named(widgets.Checkbox, "Use the network trained below", "max-content", **unusable)
        self.sentence, self.picture = widgets.HTML(), widgets.HTML()
        super().__init__(
            [
                row(self.mistakes, self.digit, self.answer, self.found),
                row(self.index, self.next, self.use),
                self.dropped,
                row(self.rate, self.draw_mask, self.reset),
                self.sentence,
                self.picture,
            ]
        )
        self.use.observe(lambda _: self.choose(), "value")
        for control in (self.mistakes, self.digit, self.answer):
            control.observe(lambda _: self.look(), "value")
        for control in (self.index, self.dropped):
            control.observe(lambda _: self.show(), "value")
        self.choose()

    def take(self, trained: Model) -> None:
        """Use a network that has been trained elsewhere, until the box is unticked."""
        self.trained, self.use.disabled = trained, False
        self.use.value = True
        self.choose()

    def choose(self) -> None:
        """Read all test images with the network in use, the one that is shown among them, with no unit dropped."""
        self.model = self.trained if self.use.value else self.own
        scores = helpers.predict(self.data.x_test, *self.model.weights, self.model.normalisation)
        self.answers = scores.argmax(axis=1)
        self.drop_none()
        self.look(stay=True)

    def look(self, stay: bool = False) -> None:
        """Find the images that are asked for, and go to the first unless the one shown is among them."""
        try:
            digit = reading.digit_or_any("True digit", self.digit.value)
            answer = reading.digit_or_any("Answer", self.answer.value)
        except ValueError as error:
            self.write(str(error))
            return
        self.matches = reading.matching(self.answers, self.data.y_test, self.mistakes.value, digit, answer)
        self.found.value = f"{len(self.matches):,} such images"
        if len(self.matches) and not stay and self.index.value not in self.matches:
            self.index.value = int(self.matches[0])
        else:
            self.show()

    def go_on(self) -> None:
        """Go to the next image that is asked for, from the last to the first."""
        if len(self.matches):
            after = self.matches[self.matches > self.index.value]
            self.index.value = int(after[0] if len(after) else self.matches[0])

    def drop_at_random(self) -> None:
        mask = helpers.dropout_mask(self.rng, (self.model.hidden_size,), self.rate.value)
        self.dropped.value = ", ".join(str(unit) for unit in np.flatnonzero(mask == 0))

    def drop_none(self) -> None:
        self.dropped.value = ""

    def show(self) -> None:
        i, model = self.index.value, self.model
        try:
            dropped = reading.units_in(self.dropped.value, model.hidden_size)
        except ValueError as error:
            self.write(str(error))
            return
        found = reading.read(model, self.data.x_test[i], dropped, true=int(self.data.y_test[i]))
        self.write(reading.describe(found))
        alt = f"The digit, the pixels for and against {found.answer}, scores and hidden units."
        source = base64.b64encode(plots.png(reading.picture(found))).decode()
        style = "width: 864px; max-width: 100%"
        self.picture.value = f'<img alt="{html.escape(alt)}" style="{style}" src="data:image/png;base64,{source}">'

    def write(self, sentence: str) -> None:
        self.sentence.value = f'<p role="status" style="line-height: 1.4">{html.escape(sentence)}</p>'

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options)
        text = f"A panel: choose a test digit, drop hidden units, and see the answer change. {ALIVE}"
        return bundle | {"text/plain": text}
