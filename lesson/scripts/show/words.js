// Writes what a page says about a network: the parts of a step, and numbers as texts.

import { writeMinus } from "../../../pipeline/reports/scripts/show/dom.js";
import { findLoss } from "../compute/sums.js";

export const PHASES = ["forward", "error", "back", "update"]; // of a step
const LARGE = 1e6; // from here on a number shows only that the steps are too long
const SMALL = 1e-9; // and below this it is 0
const NEAR = 5e-4; // below this a loss or a slope is almost 0

const isTooLarge = (value) => Number.isNaN(value) || Math.abs(value) >= LARGE;

// Returns a number with four significant digits, at most three of them after the decimal point.
// Smaller numbers get one significant digit.
export function format(value) {
  if (isTooLarge(value)) return "too large";
  if (Math.abs(value) < SMALL) return "0";
  const rounded = Number(Number(value.toPrecision(4)).toFixed(3));
  const shown = rounded === 0 ? Number(value.toPrecision(1)) : rounded;
  return writeMinus(shown);
}

// Returns a loss or a slope. The smallest ones are called almost 0, because they would stand beside
// a weight whose digits do not differ from those of the best weight.
export const formatNear = (value) =>
  Math.abs(value) >= SMALL && Math.abs(value) < NEAR ? "almost 0" : format(value);

export const isDiverged = (network) => isTooLarge(findLoss(network));

// Returns the class that gives a number its colour.
export function signOf(number) {
  if (number > 0) return "above";
  return number < 0 ? "below" : "zero";
}

export const isHidden = ({ weights }, layer) => layer > 0 && layer < weights.length;

// Returns whether the ReLU cuts the sum of a place.
export const isInactive = (network, layer, place) =>
  isHidden(network, layer) && !(network.sums[layer][place] > 0);

// Returns whether a part of a step shows the error signals of a layer.
export function hasSignals({ network, phase }, layer) {
  if (phase === "back") return layer > 0;
  return phase === "error" && layer === network.weights.length;
}

// Says what to press first.
export const invite = ({ home }) =>
  home ? "Drag the dot along the curve." : "Press a number to see what it is made of.";

const SAYS = {
  forward: () =>
    "Each unit adds up its inputs times their weights, and passes on what is above 0. " +
    "Each score is a sum of this kind, too.",
  error: (network) =>
    "The error signal of a score is the score minus its target. " +
    `The loss is half the sum of their squares, ${formatNear(findLoss(network))}.`,
  back: ({ inactiveSlope }) =>
    "The error signals go back through the same weights, and add up in each unit. " +
    (inactiveSlope > 0
      ? "With the slip, an inactive unit lets them through, too."
      : "An inactive unit lets none through."),
  update: (network, before) => {
    const listAll = ({ weights }) => weights.flatMap((matrix) => [...matrix]);
    const writeLoss = (each) => formatNear(findLoss(each));
    const old = listAll(before);
    const now = listAll(network);
    const moved = now.filter((weight, at) => weight !== old[at]).length;
    const losses = `The loss was ${writeLoss(before)}, and is now ${writeLoss(network)}.`;
    return `Weights that have moved: ${moved} of ${now.length}. ${losses}`;
  },
};

// Says what happens in a part of a step of a small network. before: the network before an update.
export const describe = (network, phase, before) => SAYS[phase](network, before);
