// What is said of a network: the phases of a step, and its numbers as texts.

import { findError, findWeight } from "../compute/sums.js";
import { formatShort, make } from "./dom.js";

export const PHASES = ["forward", "error", "back", "update"]; // of a step
const LARGE = 1e6; // from here on a number says nothing but that the steps are too long

// A number, also one that has diverged.
export const format = (value) => (Math.abs(value) < LARGE ? formatShort(value) : "too large");

export const isDiverged = (network) => !(findError(network) < LARGE);

// The class of a number, which gives it its colour.
export const signOf = (number) => (number > 0 ? "above" : number < 0 ? "below" : "zero");

// Says which sign has which colour.
export function nameColours() {
  const [above, below] = ["above", "below"].map((name) => make("i", { class: name }));
  return ["Red ", above, " is above 0 and blue ", below, " below"];
}

// Says why a number is refused, or nothing.
export const findNumberFault = (value) =>
  Number.isFinite(value) ? "" : "Write a number, such as 0.5.";
export const findRateFault = (value) =>
  value > 0 ? "" : "The learning rate must be a number above 0, such as 0.1.";

export const isHidden = ({ weights }, layer) => layer > 0 && layer < weights.length;

// Whether dropout leaves a place out, or else the ReLU cuts it.
export const isDropped = ({ weights, mask }, layer, place) =>
  isHidden({ weights }, layer) && mask[place] === 0;
export const isInactive = (network, layer, place) =>
  isHidden(network, layer) && !(network.sums[layer][place] > 0);

// What is said before anything is pressed.
export const INVITATION =
  "Press a number to see what it is made of. Or make one step: Forward, Error, Back, Update.";

const SAYS = {
  forward: ({ hasUnits, hasScores }) =>
    (hasUnits
      ? "each unit adds inputs times weights, and the ReLU cuts the sum at 0. Each score is such a sum, without ReLU. "
      : "the score adds inputs times weights. ") +
    "A weight says how much a number counts in a sum, and whether for or against. " +
    (hasScores ? "The largest score is the answer." : ""),
  error: () =>
    "each score minus its target is its error signal. The error is the sum of their squares, and the loss is half of it.",
  back: ({ hasUnits, inactive, hasMask }) =>
    hasUnits
      ? "the error signals flow back through the same weights, and add up in each unit. " +
        (inactive
          ? "By the slip, an inactive unit lets them through as if it were active. "
          : "An inactive unit lets none through, because a small change of its sum changes no score. ") +
        (hasMask ? "A dropped unit lets none through." : "")
      : "the error signal meets the input. Their product is the slope: how fast the loss rises with the weight.",
  update: ({ inactive }) =>
    "each weight moves by the learning rate times its slope, against the slope. So one with the slope 0 stays. " +
    (inactive ? "By the slip, a weight of an inactive unit gets the slope of an active one." : ""),
};

// Says what happens in a phase of a step, of any network.
export function describe(network, phase) {
  const hasUnits = network.weights.length > 1;
  const hasScores = network.targets.length > 1;
  const text = SAYS[phase]({ ...network, hasUnits, hasScores });
  return `${phase[0].toUpperCase()}${phase.slice(1)}: ${text.trim()}`;
}

// The error, and after an update what it was before.
export function describeError(network, before) {
  const error = format(findError(network));
  if (!before) return `Error: ${error}`;
  return `Error before the step: ${format(findError(before))}, after it: ${error}`;
}

// The list and the place in it of the number that can be changed where something is chosen, a
// weight or a place, [layer, place].
export function findNumber(network, chosen) {
  if (!Array.isArray(chosen)) {
    const { at } = findWeight(network, chosen.layer, chosen.from, chosen.to);
    return { list: network.weights[chosen.layer - 1], at, name: "the weight" };
  }
  const [layer, at] = chosen;
  if (layer === 0) return { list: network.inputs, at, name: network.nameOf(0, at) };
  if (isHidden(network, layer)) return null;
  return { list: network.targets, at, name: `the target of ${network.nameOf(layer, at)}` };
}
