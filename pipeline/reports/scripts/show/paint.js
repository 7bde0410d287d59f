// Paints images and weights, and names outputs.

import { PIXELS } from "../compute/network.js";
import { clamp, SIDE } from "../compute/reading.js";
import { BLUE, RED } from "./dom.js";

// Returns a function from a value to its colour, as [red, green, blue, opacity]. Values above 0 are
// red, values below 0 blue, and 0 is white. limit: the value with the deepest colour.
export const diverging = (limit) => (value) => {
  const share = value / limit;
  const part = Number.isNaN(share) ? 0 : clamp(share, -1, 1); // 0 / 0 if all values are 0
  const deepest = part > 0 ? RED : BLUE;
  const fromWhite = (channel) => 255 + Math.abs(part) * (channel - 255);
  return [...deepest.map(fromWhite), 255];
};

export function paint(canvas, colours) {
  const picture = new ImageData(SIDE, SIDE);
  colours.forEach((colour, p) => {
    picture.data.set(colour, 4 * p);
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// Paints an image, whose bytes are ink.
export function paintInk(canvas, image) {
  paint(
    canvas,
    Array.from(image, (ink) => [255 - ink, 255 - ink, 255 - ink, 255]),
  );
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
