// Draws the real network: the image, a tile for each hidden unit, and the scores. A tile has the
// weights from the pixels to its unit, and after a step how they have moved.

import { argmax, DIGITS } from "../compute/network.js";
import { SIDE } from "../compute/reading.js";
import { formatNumber, make, makeButton } from "./dom.js";
import { diverging, findLimit, findWeightsOfUnit, grey, maxAbs, paint } from "./paint.js";
import { isInactive } from "./words.js";

const makeCanvas = (name) => make("canvas", { class: name, width: SIDE, height: SIDE });

// How many weights a step moves: those whose input and error signal are not 0.
function countMoved({ inputs, values, signals }) {
  const count = (numbers) => numbers.reduce((sum, number) => sum + (number !== 0), 0);
  const units = count(signals[1]);
  const first = count(inputs) * units;
  const second = count(values[1]) * count(signals[2]);
  return { ink: count(inputs), units, second, all: first + second };
}

export class Tiles {
  showsBefore = true; // its sums are those of the weights before the step

  // about: the element that says which image this is.
  constructor(about) {
    this.about = about;
  }

  build(view) {
    const { sizes } = view.network;
    this.image = makeCanvas("image");
    this.image.setAttribute("role", "img");
    this.image.setAttribute("aria-label", "The image");
    this.units = Array.from({ length: sizes[1] }, (_, unit) =>
      makeButton("", () => view.choose([1, unit])),
    );
    for (const button of this.units) button.append(makeCanvas(""), make("span"));
    this.scores = Array.from({ length: DIGITS }, (_, digit) =>
      makeButton("", () => view.choose([2, digit])),
    );
    for (const button of this.scores) button.append(make("b"), make("span"), make("small"));
    this.legend = make("p", { class: "legend" });
    const group = (name, label, buttons) =>
      make("div", { class: name, role: "group", "aria-label": label }, ...buttons);
    const picture = make(
      "div",
      { class: "picture" },
      make("div", { class: "top" }, make("figure", {}, this.image), this.about),
      group("row", "Hidden units of this step", this.units),
      group("rows", "Scores", this.scores),
    );
    return make("div", {}, picture, this.legend);
  }

  // What is chosen stays chosen.
  findSubject({ chosen }) {
    return chosen;
  }

  describe(network, _, before) {
    const { ink, units, second, all } = countMoved(before);
    const [moved, total] = [all, network.weights[0].length + network.weights[1].length].map(
      (each) => each.toLocaleString("en"),
    );
    return (
      `Update: ${moved} of ${total} weights have moved. They lead from ${ink} pixels with ink to ` +
      `${units} active units, and ${second} of them from these units to the scores.`
    );
  }

  show(view) {
    const { drawn, before } = view;
    paint(this.image, [...drawn.pixels].map(grey));
    const most = before ? maxAbs(drawn.signals[1]) : findLimit(drawn.weights[0]);
    const colour = diverging(most);
    this.units.forEach((button, unit) => {
      const picture = before ? this.findMoves(drawn, unit) : this.findWeights(drawn, unit);
      paint(button.children[0], picture.map(colour));
      this.showUnit(view, button, unit);
    });
    this.scores.forEach((button, digit) => {
      this.showScore(view, button, digit);
    });
    this.legend.textContent = before
      ? "A tile shows how the weights of a unit have moved: red where ink is added, blue where it is taken away. Its number is the unit's error signal."
      : "A tile shows the weights from the pixels to a unit, red above 0 and blue below. Its number is the unit's activation, and a broken frame an inactive unit. ▸ is the answer, and the filled score is the right one.";
  }

  findWeights({ weights, sizes }, unit) {
    return findWeightsOfUnit(weights[0], sizes[1], unit);
  }

  // In which direction each weight of a unit moves: against its slope.
  findMoves({ inputs, signals }, unit) {
    return Array.from(inputs, (input) => -input * signals[1][unit]);
  }

  showUnit(view, button, unit) {
    const { drawn, before } = view;
    const value = formatNumber((before ? drawn.signals : drawn.values)[1][unit]);
    const state = isInactive(drawn, 1, unit) ? "inactive" : "active";
    const noun = before ? "error signal" : "activation";
    button.children[1].textContent = value;
    button.className = state;
    button.setAttribute("aria-label", `Hidden unit ${unit}: ${state}, ${noun} ${value}`);
    button.setAttribute("aria-pressed", view.isChosen(1, unit));
  }

  showScore(view, button, digit) {
    const { drawn, network, before } = view;
    const [score, after] = [drawn, network].map(({ values }) => formatNumber(values[2][digit]));
    const then = before ? `→ ${after}` : "";
    [drawn.classes[digit], score, then].forEach((text, k) => {
      button.children[k].textContent = text;
    });
    button.classList.toggle("label", drawn.targets[digit] === 1);
    button.classList.toggle("answer", digit === argmax(drawn.values[2]));
    const read = before ? `, after the step ${after}` : "";
    button.setAttribute("aria-label", `${drawn.nameOf(2, digit)}: ${score}${read}`);
    button.setAttribute("aria-pressed", view.isChosen(2, digit));
  }
}
