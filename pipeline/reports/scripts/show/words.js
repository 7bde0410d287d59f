// What is said of a network: the parts of a step, and its numbers as texts.

import { findError, findWeight } from "../compute/sums.js";

export const PHASES = ["forward", "error", "back", "update"]; // of a step
const LARGE = 1e6; // from here on a number says nothing but that the steps are too long

const SMALL = 1e-9; // and below this it is 0

// A number with four digits that count, at most three of them behind the point; a smaller one with
// one digit that counts.
export function format(value) {
  if (!(Math.abs(value) < LARGE)) return "too large";
  if (Math.abs(value) < SMALL) return "0";
  const rounded = Number(Number(value.toPrecision(4)).toFixed(3));
  return String(rounded || Number(value.toPrecision(1)));
}

export const isDiverged = (network) => !(findError(network) < LARGE);

// The class of a number, which gives it its colour.
export const signOf = (number) => (number > 0 ? "above" : number < 0 ? "below" : "zero");

// Says why a number is refused, or nothing.
export const findNumberFault = (value) =>
  Number.isFinite(value) ? "" : "Write a number, such as 0.5.";
export const findRateFault = (value) =>
  value > 0 ? "" : "The learning rate must be a number above 0, such as 0.1.";

export const isHidden = ({ weights }, layer) => layer > 0 && layer < weights.length;

// Whether the ReLU cuts the sum of a place.
export const isInactive = (network, layer, place) =>
  isHidden(network, layer) && !(network.sums[layer][place] > 0);

// What is said before anything is pressed.
export const invite = ({ home }) =>
  home ? "Drag the dot along the curve." : "Press a number to see what it is made of.";

const SAYS = {
  forward: () =>
    "each unit adds inputs times weights, and the ReLU cuts the sum at 0. Each score is such a " +
    "sum, without ReLU. A line is now what flows: a value times its weight.",
  error: (network) =>
    "each score minus its target is its error signal. The error is the sum of their squares, " +
    `${format(findError(network))}.`,
  back: ({ inactive }) =>
    "the error signals flow back through the same weights, and add up in each unit. " +
    (inactive
      ? "By the slip, an inactive unit lets them through as if it were active."
      : "An inactive unit lets none through, because a small change of its sum changes no score."),
  update: (network, before) =>
    "a weight moves by the learning rate times its slope, against the slope. " +
    `The error was ${format(findError(before))}, and is ${format(findError(network))}.`,
};

// Says what happens in a part of a step of a small network. before: the network before an update.
export function describe(network, phase, before) {
  return `${phase[0].toUpperCase()}${phase.slice(1)}: ${SAYS[phase](network, before)}`;
}

// The list and the place in it of the number that can be changed where something is chosen, a
// weight or a place, [layer, place]; or null.
export function findNumber(network, chosen) {
  if (chosen === null) return null;
  if (!Array.isArray(chosen)) {
    const { at } = findWeight(network, chosen.layer, chosen.from, chosen.to);
    return { list: network.weights[chosen.layer - 1], at, name: "the weight" };
  }
  const [layer, at] = chosen;
  if (layer === 0) return { list: network.inputs, at, name: network.nameOf(0, at) };
  if (isHidden(network, layer)) return null;
  return { list: network.targets, at, name: `the target of ${network.nameOf(layer, at)}` };
}
