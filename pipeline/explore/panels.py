"""Show panels of controls in JupyterLab: one reads test digits, one trains."""

import base64
import html
import string
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets
from matplotlib.figure import Figure

import helpers
from pipeline import plots
from pipeline.datasets import Data
from pipeline.errors import Diverged
from pipeline.explore import reading, training
from pipeline.explore.reading import Reading
from pipeline.run_folder import Model

REDRAWN_EVERY = 20  # epochs: a picture takes as long as all of them


class Bench(traitlets.HasTraits):
    """What the panels share: the network in use."""

    model = traitlets.Instance(Model)


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Controls, then a sentence and a picture. `description` stands for it where a notebook is read and not run."""

    description = "A panel of controls."

    def __init__(self, *controls: widgets.Widget) -> None:
        self.sentence, self.shown = widgets.HTML(), widgets.HTML()
        super().__init__([*controls, self.sentence, self.shown])

    def write(self, sentence: str) -> None:
        self.sentence.value = f'<p role="status" style="line-height: 1.4">{html.escape(sentence)}</p>'

    def draw(self, figure: Figure, alt: str) -> None:
        """Show a figure with its text alternative."""
        source = base64.b64encode(plots.png(figure)).decode()
        style = "width: 864px; max-width: 100%"
        self.shown.value = f'<img alt="{html.escape(alt)}" style="{style}" src="data:image/png;base64,{source}">'

    def show_reading(self, found: Reading) -> None:
        self.write(reading.describe(found))
        alt = f"The digit, the pixels for and against {found.answer}, scores and hidden units."
        self.draw(reading.picture(found), alt)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options)
        return bundle | {"text/plain": f"{self.description} It is alive in JupyterLab, after Run All."}


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


class ReadingPanel(Panel):
    """Choose a test digit, switch hidden units off, and see how it is read."""

    description = "A panel: choose a test digit, drop hidden units, and see the answer change."

    def __init__(self, data: Data, bench: Bench) -> None:
        self.data, self.bench = data, bench
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
        super().__init__(
            row(self.mistakes, self.digit, self.answer, self.found),
            row(self.index, self.next),
            self.dropped,
            row(self.rate, self.draw_mask, self.reset),
        )
        bench.observe(lambda _: self.take_model(), "model")
        for control in (self.mistakes, self.digit, self.answer):
            control.observe(lambda _: self.look(), "value")
        for control in (self.index, self.dropped):
            control.observe(lambda _: self.show(), "value")
        self.take_model()

    def take_model(self) -> None:
        """Read all test images again, the one that is shown among them, with no unit dropped."""
        model = self.bench.model
        self.answers = helpers.predict(self.data.x_test, *model.weights, model.normalisation).argmax(axis=1)
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
        mask = helpers.dropout_mask(self.rng, (self.bench.model.hidden_size,), self.rate.value)
        self.dropped.value = ", ".join(str(unit) for unit in np.flatnonzero(mask == 0))

    def drop_none(self) -> None:
        self.dropped.value = ""

    def show(self) -> None:
        i, model = self.index.value, self.bench.model
        try:
            dropped = reading.units_in(self.dropped.value, model.hidden_size)
        except ValueError as error:
            self.write(str(error))
            return
        self.show_reading(reading.read(model, self.data.x_test[i], dropped, true=int(self.data.y_test[i])))


class TrainingPanel(Panel):
    """Choose hyperparameters, train, and hand the network on to the other panels."""

    description = "A panel: choose learning rate, hidden size and dropout rates, and see the curves grow as it trains."

    def __init__(self, data: Data, bench: Bench) -> None:
        self.data, self.bench = data, bench
        self.of_the_run = self.trained = bench.model
        rate = {"value": 0.005, "min": -4, "max": 0, "readout_format": ".2g"}
        self.learning_rate = named(widgets.FloatLogSlider, "Learning rate", "26em", **rate)
        self.hidden_size = named(widgets.IntSlider, "Hidden units", "26em", value=40, min=1, max=200)
        self.dropout_rate = named(widgets.FloatSlider, "Dropout rate", "26em", value=0.5, min=0, max=0.9, step=0.1)
        self.input_dropout_rate = named(
            widgets.FloatSlider, "Input dropout rate", "26em", value=0, min=0, max=0.9, step=0.1
        )
        self.inactive = named(widgets.IntSlider, "relu_grad_inactive", "26em", value=1, min=0, max=1)
        self.start = button("Train", self.train)
        unusable = {"indent": False, "disabled": True}
        self.use = named(widgets.Checkbox, "Use the network trained here", "max-content", **unusable)
        self.use.observe(lambda _: self.choose(), "value")
        super().__init__(
            row(self.learning_rate, self.hidden_size),
            row(self.dropout_rate, self.input_dropout_rate),
            row(self.inactive, self.start, self.use),
        )
        self.write("Nothing is trained here yet.")

    def choose(self) -> None:
        """Give all panels the network trained here, or the run's."""
        self.bench.model = self.trained if self.use.value else self.of_the_run

    def train(self) -> None:
        """Train, drawing every few epochs; a training that diverges is described as such, and changes nothing."""
        self.start.disabled = True
        options = {
            "learning_rate": float(f"{self.learning_rate.value:.2g}"),  # as it is shown
            "dropout_rate": round(self.dropout_rate.value, 1),  # a slider can give 0.30000000000000004
            "input_dropout_rate": round(self.input_dropout_rate.value, 1),
            "relu_grad_inactive": self.inactive.value,
            "normalisation": self.of_the_run.normalisation,
        }
        try:
            for trained in training.train(self.data, self.hidden_size.value, **options):
                model, history = trained
                if len(history) % REDRAWN_EVERY == 0:
                    sentence = training.describe(history)
                    self.write(sentence)
                    self.draw(plots.learning_curves(history, training.EPOCHS), f"Learning curves. {sentence}")
        except Diverged as error:
            self.write(f"This training diverged: {error}")
            self.shown.value = ""
            return
        finally:
            self.start.disabled = False
        self.trained = model
        self.use.disabled, self.use.value = False, True
        self.choose()
        self.write(f"{training.describe(history)} The other panels now use this network.")
