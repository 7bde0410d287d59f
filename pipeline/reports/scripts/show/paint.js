// Paints images and weights, and names outputs.

import { PIXELS } from "../compute/network.js";
import { clamp, SIDE } from "../compute/reading.js";
import { BLUE, RED } from "./dom.js";

// The colour of a pixel, as [red, green, blue, opacity]. `grey` takes ink. `diverging` makes values
// above 0 red, values below 0 blue, and 0 white.
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

// Paints values red above 0 and blue below, with the deepest colour for the largest value.
export function paintSigned(canvas, values) {
  paint(canvas, Array.from(values, diverging(maxAbs(values))));
}

// Returns the weight that gets the deepest colour in the pictures of a first matrix.
export function findLimit(first) {
  const squares = first.reduce((sum, weight) => sum + weight * weight, 0);
  return 2 * Math.sqrt(squares / first.length);
}

// Returns the weights from each pixel to one hidden unit.
export const findWeightsOfUnit = (first, size, unit) =>
  Array.from({ length: PIXELS }, (_, p) => first[p * size + unit]);

// Returns the name of an output. There may be fewer classes than outputs.
export const nameOf = (classes, output) => classes[output] ?? "unused";
export const maxAbs = (values) => Math.max(...values.map(Math.abs));
