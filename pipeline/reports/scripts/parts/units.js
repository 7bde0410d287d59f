// The hidden units of the network that reads a drawing: each a bar, and the pressed one explained.

import { DIGITS } from "../compute/network.js";
import { formatNumber, make, Section } from "../show/dom.js";
import { findWeightsOfUnit, maxAbs, paintSigned } from "../show/paint.js";
import { reveal } from "../show/view.js";

const MAX_UNITS = 40; // on the screen: the pressed one, and the most active others

export class Units extends Section {
  constructor(root, onChange) {
    super(root);
    this.onChange = onChange; // shows them again
    this.unit = null; // the chosen one
    this.dropped = new Set();
    this.on("units", "click", ({ target }) => {
      if (target.type === "button") this.press(Number(target.value));
    });
    this.on("close", "click", () => this.close());
  }

  // Begins anew, with another network.
  forget() {
    this.unit = null;
    this.dropped.clear();
  }

  // The places of the hidden units that are shown.
  findUnits(hidden) {
    const isChosen = (h) => h === this.unit;
    const order = [...hidden.keys()].sort(
      (a, b) => isChosen(b) - isChosen(a) || hidden[b] - hidden[a],
    );
    return order.slice(0, MAX_UNITS).sort((a, b) => a - b);
  }

  show(network, hidden) {
    this.showBars(hidden);
    this.part("unit").hidden = this.unit === null;
    if (this.unit !== null) this.showUnit(network, hidden);
  }

  showBars(hidden) {
    const most = Math.max(...hidden, 1e-9);
    const units = this.findUnits(hidden);
    const list = this.part("units");
    while (list.children.length < units.length) list.append(make("button", { type: "button" }));
    while (list.children.length > units.length) list.children[0].remove();
    units.forEach((h, i) => {
      const button = list.children[i];
      const isDropped = this.dropped.has(h);
      const state = isDropped ? "dropped" : formatNumber(hidden[h]);
      button.value = h;
      button.style.setProperty("--part", hidden[h] / most);
      button.classList.toggle("dropped", isDropped);
      button.setAttribute("aria-label", `Hidden unit ${h}: ${state}`);
      button.setAttribute("aria-pressed", h === this.unit);
    });
  }

  showUnit({ weights: { first, second }, classes }, hidden) {
    const unit = this.unit;
    paintSigned(this.part("weights"), findWeightsOfUnit(first, hidden.length, unit));
    const state = this.dropped.has(unit)
      ? "is dropped; press it again to take it back"
      : `has the activation ${formatNumber(hidden[unit])}; press it again to drop it`;
    this.write(
      "about-unit",
      `Hidden unit ${unit} ${state}. Red weights are for ink, blue against it. It adds to the scores:`,
    );
    const summands = classes.map((_, d) => hidden[unit] * second[unit * DIGITS + d]);
    const bars = summands.map((value, d) => {
      const name = value < 0 ? "against" : "";
      const bar = make("li", { class: name }, `${classes[d]}: ${formatNumber(value)}`);
      bar.style.setProperty("--part", Math.abs(value) / maxAbs(summands) || 0);
      return bar;
    });
    this.part("to-scores").replaceChildren(...bars);
  }

  // The first press chooses a unit, the next ones drop it and take it back.
  press(unit) {
    if (unit === this.unit) {
      const wasDropped = this.dropped.delete(unit);
      if (!wasDropped) this.dropped.add(unit);
    }
    this.unit = unit;
    this.onChange();
    reveal(this.part("unit"), this.findButton(unit));
  }

  findButton(unit) {
    return this.part("units").querySelector(`[value="${unit}"]`);
  }

  close() {
    const button = this.findButton(this.unit);
    this.unit = null;
    this.onChange();
    button.focus({ preventScroll: true });
  }
}
