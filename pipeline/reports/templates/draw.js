// Makes an image of what is drawn, reads it with the functions of network.js, and paints pictures.
import { BLUE, RED } from "./dom.js";
import { argmax, DIGITS, forward, PIXELS, scalePixelValues } from "./network.js";
import { labelEnds } from "./plot.js";

// The pen's width in pixels of an image: with it a drawn digit has as much ink as one of MNIST's.
const PEN = 2.5;
const SIDE = 28;
const COLUMNS = 8; // of the pictures of weights
const MAX_PICTURES = 40;
const LEAST_LIMIT = 0.2; // of a scale: weights as they begin, up to 0.1, stay pale

export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

// Lowers the distance of each pixel near a piece of a line, from (ax, ay) to (bx, by), to that
// piece.
function measureDistances(distances, ax, ay, bx, by) {
  const left = Math.max(0, Math.floor(Math.min(ax, bx) - PEN));
  const right = Math.min(SIDE, Math.max(ax, bx) + PEN);
  const top = Math.max(0, Math.floor(Math.min(ay, by) - PEN));
  const bottom = Math.min(SIDE, Math.max(ay, by) + PEN);
  const dx = bx - ax;
  const dy = by - ay;
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const x = column + 0.5 - ax;
      const y = row + 0.5 - ay;
      const p = SIDE * row + column;
      const along = clamp((x * dx + y * dy) / (dx * dx + dy * dy || 1), 0, 1);
      const distance = Math.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2);
      distances[p] = Math.min(distances[p], distance);
    }
  }
}

// Lines as an image of 28 x 28 bytes, moved by (right, down); the edges of the pen are grey.
function rasterise(lines, right, down) {
  const distances = new Float64Array(PIXELS).fill(Infinity);
  for (const line of lines) {
    let [previousX, previousY] = line[0];
    for (const [x, y] of line) {
      measureDistances(distances, previousX + right, previousY + down, x + right, y + down);
      previousX = x;
      previousY = y;
    }
  }
  return Uint8Array.from(distances, (distance) =>
    Math.round(255 * clamp(PEN / 2 + 0.5 - distance, 0, 1)),
  );
}

// The centre of mass of an image, as [x, y].
function findCentre(image) {
  let mass = 0;
  let across = 0;
  let below = 0;
  image.forEach((ink, p) => {
    mass += ink;
    across += ink * ((p % SIDE) + 0.5);
    below += ink * (Math.floor(p / SIDE) + 0.5);
  });
  return [across / mass, below / mass];
}

// Strokes, lists of points [x, y] in fractions of the pad, in the form of MNIST's digits, wherever
// on the pad and however large they are: fitted into 20 x 20 pixels, proportions kept, the centre
// of mass in the middle (Y. LeCun et al. 1998, Gradient-based learning applied to document
// recognition, section III.A). A dot stays a dot.
export function imageOf(strokes) {
  const points = strokes.flat();
  if (points.length === 0) return new Uint8Array(PIXELS);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const left = Math.min(...xs);
  const top = Math.min(...ys);
  const width = Math.max(...xs) - left;
  const height = Math.max(...ys) - top;
  const scale = (20 - PEN) / Math.max(width, height, 0.05);
  const lines = strokes.map((stroke) =>
    stroke.map(([x, y]) => [(x - left) * scale, (y - top) * scale]),
  );
  const [x, y] = findCentre(rasterise(lines, 4, 4));
  const place = (centre, extent) => clamp(18.5 - centre, PEN / 2, SIDE - PEN / 2 - extent);
  return rasterise(lines, place(x, width * scale), place(y, height * scale));
}

// The scores of an image, its hidden units, the labels of the two largest scores, and each pixel's
// part of the answer's score.
export function read(image, { normalisation, weights }, dropped = new Set()) {
  const size = weights.second.length / DIGITS;
  const scores = new Float64Array(DIGITS);
  const hidden = new Float64Array(size);
  const mask = hidden.map((_, h) => Number(!dropped.has(h)));
  const scaled = scalePixelValues(normalisation);
  const places = forward(image, scaled, weights, mask, hidden, scores);
  const answer = argmax(scores);
  const second = argmax(scores.slice().fill(-Infinity, answer, answer + 1));
  const parts = new Float64Array(PIXELS);
  for (const p of places) {
    for (let h = 0; h < size; h++) {
      const through =
        hidden[h] > 0 ? weights.first[p * size + h] * weights.second[h * DIGITS + answer] : 0;
      parts[p] += scaled[image[p]] * through;
    }
  }
  return { scores, hidden, answer, second, parts };
}

export async function unpackBytes(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function unpackNetwork({ hidden_size, normalisation, weights }) {
  const { buffer } = await unpackBytes(weights);
  const numbers = new Float32Array(buffer);
  const cut = PIXELS * hidden_size;
  const first = numbers.subarray(0, cut);
  const second = numbers.subarray(cut);
  return { normalisation, weights: { first, second } };
}

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

// Paints values red above and blue below 0, the deepest where they are largest.
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

// The weights of the first hidden units as pictures, side by side, as in 03_evaluate, in a scale of
// their own, or else in that of the first network that is drawn, the run's own if it is in the page.
export function drawUnits(canvas, { first }, size, isSameScale = false) {
  const count = Math.min(size, MAX_PICTURES);
  const limit = Math.max(findLimit(first), LEAST_LIMIT);
  canvas.hidden = false;
  canvas.width = 30 * COLUMNS;
  canvas.height = 30 * Math.ceil(count / COLUMNS);
  canvas.dataset.limit ??= limit;
  const colour = diverging(isSameScale ? Number(canvas.dataset.limit) : limit);
  for (let h = 0; h < count; h++) {
    const colours = findWeightsOfUnit(first, size, h).map(colour);
    paint(canvas, colours, 30 * (h % COLUMNS), 30 * Math.floor(h / COLUMNS));
  }
}

// Names the run's curves, and shows its weights, unless its network is too large for the page.
export async function showRun(root, [network]) {
  for (const svg of root.querySelectorAll(".stage svg")) labelEnds(svg);
  if (!network) return;
  const { weights } = await unpackNetwork(network);
  drawUnits(root.querySelector(".forming"), weights, network.hidden_size);
}

// The name of an output; there may be fewer classes than outputs.
export const nameOf = (classes, output) => classes[output] ?? "unused";
export const maxAbs = (values) => Math.max(...values.map(Math.abs));
