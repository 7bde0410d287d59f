// Paints images and weights, and names outputs.

import { PIXELS } from "../compute/network.js";
import { clamp, SIDE } from "../compute/reading.js";
import { BLUE, RED } from "./dom.js";

const COLUMNS = 8; // of the pictures of weights
const MAX_PICTURES = 40;
const LEAST_LIMIT = 0.2; // of a scale, so that the initial weights, up to 0.1, stay pale

// Colours of a pixel, red, green, blue and opacity: grey for ink; red above, blue below and white
// at 0.
export const grey = (ink) => [255 - ink, 255 - ink, 255 - ink, 255];
export const diverging = (limit) => (value) => {
  const part = clamp(value / limit || 0, -1, 1);
  const deep = part > 0 ? RED : BLUE;
  return [...deep.map((channel) => 255 + Math.abs(part) * (channel - 255)), 255];
};

export function paint(canvas, colours, x = 0, y = 0) {
  const picture = new ImageData(SIDE, SIDE);
  colours.forEach((colour, p) => {
    picture.data.set(colour, 4 * p);
  });
  canvas.getContext("2d").putImageData(picture, x, y);
}

// Paints values red above and blue below 0, with the deepest colour where they are largest.
export function paintSigned(canvas, values) {
  paint(canvas, Array.from(values, diverging(maxAbs(values))));
}

// The weight that has the deepest colour in the pictures of a first matrix.
export function findLimit(first) {
  const squares = first.reduce((sum, weight) => sum + weight * weight, 0);
  return 2 * Math.sqrt(squares / first.length);
}

// The weights from each pixel to one hidden unit.
export const findWeightsOfUnit = (first, size, unit) =>
  Array.from({ length: PIXELS }, (_, p) => first[p * size + unit]);

// The weights of the first hidden units as pictures, side by side, as in 03_evaluate.
export function drawUnits(canvas, { first }, size) {
  const count = Math.min(size, MAX_PICTURES);
  canvas.hidden = false;
  canvas.width = 30 * COLUMNS;
  canvas.height = 30 * Math.ceil(count / COLUMNS);
  const colour = diverging(Math.max(findLimit(first), LEAST_LIMIT));
  for (let h = 0; h < count; h++) {
    const colours = findWeightsOfUnit(first, size, h).map(colour);
    paint(canvas, colours, 30 * (h % COLUMNS), 30 * Math.floor(h / COLUMNS));
  }
}

// The name of an output; there may be fewer classes than outputs.
export const nameOf = (classes, output) => classes[output] ?? "unused";
export const maxAbs = (values) => Math.max(...values.map(Math.abs));
