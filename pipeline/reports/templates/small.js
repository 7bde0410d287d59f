// A small network as data: from its state to its places, its numbers' places, and what a step does
// in words.
import { bracket } from "./curve.js";
import { formatFixed, formatShort, makeButton } from "./dom.js";
import { makeRow, makeTable } from "./explain.js";
import { findError, findWeight } from "./sums.js";

const SHARES = [0.3, 0.36, 0.42, 0.48, 0.54, 0.6, 0.66, 0.72]; // of a line, where its number may be
const LARGE = 1e6; // from here on a number says nothing but that the steps are too long

// A number, also one that has diverged.
export const format = (value) => (Math.abs(value) < LARGE ? formatShort(value) : "too large");

// Says why a number is refused, or nothing.
export const findNumberFault = (value) =>
  Number.isFinite(value) ? "" : "Write a number, such as 0.5.";
export const findRateFault = (value) =>
  value > 0 ? "" : "The learning rate must be a number above 0, such as 0.1.";

// The class of a number, which gives it its colour.
export const signOf = (number) => (number > 0 ? "above" : number < 0 ? "below" : "zero");

export const drawLine = ([x1, y1], [x2, y2]) =>
  `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;

export const isDiverged = (network) => !(findError(network) < LARGE);

// A network as sums.js has it, from the state of pipeline/lessons/diagram.py.
export function readState({ weights, inputs, targets, learningRate, reluGradInactive }) {
  const sizes = [inputs.length, ...weights.map((matrix) => matrix[0].length)];
  const nouns = sizes.length === 2 ? ["input", "score"] : ["input", "unit", "score"];
  const nameOf = (layer, place) =>
    sizes[layer] === 1 ? `the ${nouns[layer]}` : `${nouns[layer]} ${place + 1}`;
  return {
    sizes,
    nouns,
    nameOf,
    weights: weights.map((matrix) => Float64Array.from(matrix.flat())),
    inputs: Float64Array.from(inputs),
    targets: Float64Array.from(targets),
    mask: new Float64Array(sizes.length > 2 ? sizes[1] : 0).fill(1),
    inactive: reluGradInactive,
    rate: learningRate,
    digits: 4,
    isTrimmed: true,
    most: 12,
  };
}

export const listPlaces = ({ sizes }) =>
  sizes.flatMap((size, layer) => Array.from({ length: size }, (_, place) => [layer, place]));

export const listWeights = ({ sizes }) =>
  sizes.slice(1).flatMap((size, before) =>
    Array.from({ length: size * sizes[before] }, (_, at) => ({
      layer: before + 1,
      from: Math.floor(at / size),
      to: at % size,
    })),
  );

// Chooses for each line's number the share of the line that is farthest from the other numbers, and
// from places that are taken.
export function placeNumbers(lines, taken) {
  const places = [...taken];
  const numbers = [];
  for (const [start, end] of lines) {
    const free = SHARES.map((share) => {
      const [x, y] = start.map((value, axis) => value + share * (end[axis] - value));
      const gaps = places.map(([right, down]) =>
        Math.max(Math.abs(x - right) / 0.13, Math.abs(y - down) / 0.3),
      );
      return { at: [x, y], gap: Math.min(1, ...gaps) - 0.01 * Math.abs(share - 0.45) };
    });
    const { at } = free.reduce((best, each) => (each.gap > best.gap ? each : best));
    places.push(at);
    numbers.push(at);
  }
  return numbers;
}

// Says what happens at a stop.
export function describe(network, stop) {
  const error = format(findError(network));
  const hasUnits = network.weights.length > 1;
  if (stop === "Forward") {
    const sums = hasUnits
      ? "Each unit adds inputs times weights, and the ReLU cuts it at 0. Each score is such a sum, too, without ReLU."
      : "Each score adds inputs times weights.";
    return `Forward: the numbers flow to the right. ${sums} A weight says how much a number counts in a sum, and whether for or against.`;
  }
  if (stop === "Error") {
    return `Error: each score minus its target is its error signal. The error is the sum of their squares, ${error}.`;
  }
  const inactive = network.inactive
    ? "By the slip, an inactive unit lets them through as if it were active."
    : "An inactive unit lets none through, because a small change of its sum changes no score.";
  return hasUnits
    ? `Back: the error signals flow to the left, through the same weights. ${inactive}`
    : "Back: the error signal meets the input. Their product is the slope of the loss over the weight.";
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
  if (layer < network.weights.length) return null;
  return { list: network.targets, at, name: `the target of ${network.nameOf(layer, at)}` };
}

// What flows through each weight at a stop; at others the weight itself.
export function findFlows({ weights }, stop, found) {
  const hasUnits = weights.length > 1;
  return found.map(({ layer, weight, input, signal, slope }) => {
    if (stop === "Forward") return input * weight;
    if (stop !== "Back") return weight;
    if (hasUnits) return layer > 1 ? signal * weight : 0; // the inputs get no error signal
    return slope;
  });
}

// A table of what an update has changed. press: called with the weight of a row.
export function makeUpdates(network, steps, press) {
  const rate = formatShort(network.rate);
  const rows = steps.map(({ layer, from, to, weight, slope }) => {
    const names = `${network.nameOf(layer - 1, from)} to ${network.nameOf(layer, to)}`;
    const text = `${formatFixed(network, weight)} - ${rate} × ${bracket(formatFixed(network, slope))}`;
    const head = makeButton(names, () => press({ layer, from, to }));
    return makeRow("term", head, text, formatFixed(network, weight - network.rate * slope));
  });
  return makeTable("Each weight minus the learning rate times its slope", rows);
}
