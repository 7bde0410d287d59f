// Draws the real network: the image, a tile for each hidden unit, and the scores. A tile shows the
// weights from the pixels to its unit. After a step it shows how these weights have moved.

import { argmax, DIGITS } from "../../../pipeline/reports/scripts/compute/network.js";
import { SIDE } from "../../../pipeline/reports/scripts/compute/reading.js";
import { formatNumber, make } from "../../../pipeline/reports/scripts/show/dom.js";
import {
  diverging,
  findLimit,
  findWeightsOfUnit,
  maxAbs,
  paint,
  paintInk,
} from "../../../pipeline/reports/scripts/show/paint.js";
import { isInactive } from "./words.js";

const makeCanvas = () => make("canvas", { width: SIDE, height: SIDE });
const makeMany = (length, makeOne) => Array.from({ length }, makeOne);

// Says how many weights a step moves: those whose input and error signal are not 0.
export function describeStep(network) {
  const { inputs, values, signals, weights } = network;
  const count = (numbers) => numbers.filter((number) => number !== 0).length;
  const write = (number) => number.toLocaleString("en");
  const ink = count(inputs);
  const units = count(signals[1]);
  const inactive = count(signals[1].filter((_, unit) => isInactive(network, 1, unit)));
  const second = count(values[1]) * count(signals[2]);
  const moved = ink * units + second;
  const total = weights[0].length + weights[1].length;
  return (
    `${write(moved)} of ${write(total)} weights have moved: those from ${ink} pixels with ink to ` +
    `${units - inactive} active and ${inactive} inactive units, and ${second} from the ` +
    "active units to the scores."
  );
}

export class Tiles {
  // about: the element that says which image this is.
  constructor(sizes, about) {
    this.image = makeCanvas();
    const image = make("figure", { class: "image", role: "img", "aria-label": "The image" });
    image.append(this.image);
    this.units = makeMany(sizes[1], () => make("div", { role: "img" }, makeCanvas(), make("span")));
    this.scores = makeMany(DIGITS, () => make("div", {}, make("b"), make("span"), make("small")));
    this.legend = make("p", { class: "legend" });
    this.root = make(
      "div",
      {},
      make("div", { class: "top" }, image, about),
      make("div", { class: "row" }, ...this.units),
      make("div", { class: "rows" }, ...this.scores),
      this.legend,
    );
  }

  // Shows a network, or what a step has changed. before: the network before the step, or null.
  show(network, before) {
    paintInk(this.image, network.pixels);
    if (before) {
      this.showMoves(before);
      this.showScores(before, network);
    } else {
      this.showWeights(network);
      this.showScores(network, null);
    }
  }

  showWeights(network) {
    const [first] = network.weights;
    const pictures = this.units.map((_, unit) => findWeightsOfUnit(first, network.sizes[1], unit));
    this.showUnits(network, pictures, findLimit(first), network.values[1]);
    this.legend.textContent =
      "A tile shows the weights from the pixels to a unit, red above 0 and blue below. Its number is what the unit passes on, and a dashed frame marks an inactive unit. ▸ marks the network's answer, and the filled score is that of the right answer.";
  }

  // Shows how far a step moves the weights of each unit, divided by the learning rate. before: the
  // network before the step.
  showMoves(before) {
    const signals = before.signals[1];
    const findMoves = (signal) => Array.from(before.inputs, (input) => -input * signal);
    const pictures = Array.from(signals, findMoves);
    // An input is 1 at most, so no move is longer than the largest error signal.
    this.showUnits(before, pictures, maxAbs(signals), signals);
    this.legend.textContent =
      "A tile shows how the weights of a unit have moved: red where ink is added, blue where it is taken away. Its number is the unit's error signal.";
  }

  // Shows a picture and a number for each unit. limit: the value with the deepest colour.
  showUnits(network, pictures, limit, numbers) {
    const colour = diverging(limit);
    this.units.forEach((tile, unit) => {
      const state = isInactive(network, 1, unit) ? "inactive" : "active";
      const text = formatNumber(numbers[unit]);
      paint(tile.firstChild, pictures[unit].map(colour));
      tile.className = state;
      tile.lastChild.textContent = text;
      tile.setAttribute("aria-label", `Hidden unit ${unit}: ${state}, ${text}`);
    });
  }

  // after: the network after a step, or null.
  showScores(network, after) {
    const write = ({ values }, digit) => formatNumber(values[2][digit]);
    const answer = argmax(network.values[2]);
    this.scores.forEach((place, digit) => {
      const [name, score, change] = place.children;
      name.textContent = network.classes[digit];
      score.textContent = write(network, digit);
      change.textContent = after ? `→ ${write(after, digit)}` : "";
      place.classList.toggle("label", network.targets[digit] === 1);
      place.classList.toggle("answer", digit === answer);
    });
  }
}
