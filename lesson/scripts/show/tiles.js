// Draws the real network: the image, a tile for each hidden unit, and the scores. A tile shows the
// weights from the pixels to its unit. After a step it shows how these weights have moved.

import { argmax, DIGITS } from "../../../pipeline/reports/scripts/compute/network.js";
import { SIDE } from "../../../pipeline/reports/scripts/compute/reading.js";
import { formatNumber, make } from "../../../pipeline/reports/scripts/show/dom.js";
import {
  diverging,
  findLimit,
  findWeightsOfUnit,
  grey,
  maxAbs,
  paint,
} from "../../../pipeline/reports/scripts/show/paint.js";
import { isInactive } from "./words.js";

const makeCanvas = () => make("canvas", { width: SIDE, height: SIDE });
const makeMany = (length, makeOne) => Array.from({ length }, makeOne);

// Says how many weights a step moves: those whose input and error signal are not 0.
export function describeStep(network) {
  const { inputs, values, signals, weights } = network;
  const count = (numbers) => numbers.reduce((sum, number) => sum + (number !== 0), 0);
  const ink = count(inputs);
  const units = count(signals[1]);
  const inactive = count(signals[1].filter((_, unit) => isInactive(network, 1, unit)));
  const second = count(values[1]) * count(signals[2]);
  const all = weights[0].length + weights[1].length;
  const [moved, total] = [ink * units + second, all].map((each) => each.toLocaleString("en"));
  return (
    `${moved} of ${total} weights have moved: those from ${ink} pixels with ink to ` +
    `${units - inactive} active and ${inactive} inactive units, and ${second} from the ` +
    "active units to the scores."
  );
}

// Returns how far each weight of a unit moves in a step, divided by the learning rate.
const findMoves = ({ inputs, signals }, unit) =>
  Array.from(inputs, (input) => -input * signals[1][unit]);

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

  // before: the network before a step, if there was one.
  show(network, before) {
    const old = before ?? network;
    paint(this.image, [...old.pixels].map(grey));
    const colour = diverging(before ? maxAbs(old.signals[1]) : findLimit(old.weights[0]));
    this.units.forEach((tile, unit) => {
      const weights = findWeightsOfUnit(old.weights[0], old.sizes[1], unit);
      paint(tile.firstChild, (before ? findMoves(old, unit) : weights).map(colour));
      const value = formatNumber((before ? old.signals : old.values)[1][unit]);
      tile.className = isInactive(old, 1, unit) ? "inactive" : "active";
      tile.lastChild.textContent = value;
      tile.setAttribute("aria-label", `Hidden unit ${unit}: ${tile.className}, ${value}`);
    });
    this.scores.forEach((place, digit) => {
      const [score, after] = [old, network].map(({ values }) => formatNumber(values[2][digit]));
      [old.classes[digit], score, before ? `→ ${after}` : ""].forEach((text, k) => {
        place.children[k].textContent = text;
      });
      place.classList.toggle("label", old.targets[digit] === 1);
      place.classList.toggle("answer", digit === argmax(old.values[2]));
    });
    this.legend.textContent = before
      ? "A tile shows how the weights of a unit have moved: red where ink is added, blue where it is taken away. Its number is the unit's error signal."
      : "A tile shows the weights from the pixels to a unit, red above 0 and blue below. Its number is what the unit passes on, and a dashed frame marks an inactive unit. ▸ marks the network's answer, and the filled score is that of the right answer.";
  }
}
