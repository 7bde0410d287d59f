// Makes an image from a drawing, reads the image with the functions of network.js, and unpacks
// networks.
import { argmax, DIGITS, forward, PIXELS, scalePixelValues } from "./network.js";

// The pen's width, in pixels of an image, that gives a drawn digit as much ink as MNIST's digits
// have.
const PEN = 2.5;
export const SIDE = 28; // of an image
const BOX = 20; // the size to which a drawing is scaled
const TRIAL = 4; // how far a drawing is first moved, so that the edges do not cut off the pen's ink
const MIDDLE = 14.5; // where MNIST's digits have their centre of mass
const DOT = 0.05; // a drawing that is smaller than this share of the pad is scaled as if it were not

export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

// Updates the distance of each pixel from the nearest line, for one more line segment from (ax, ay)
// to (bx, by).
function measureDistances(distances, ax, ay, bx, by) {
  const left = Math.max(0, Math.floor(Math.min(ax, bx) - PEN));
  const right = Math.min(SIDE, Math.max(ax, bx) + PEN);
  const top = Math.max(0, Math.floor(Math.min(ay, by) - PEN));
  const bottom = Math.min(SIDE, Math.max(ay, by) + PEN);
  const dx = bx - ax;
  const dy = by - ay;
  const squaredLength = dx * dx + dy * dy;
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const x = column + 0.5 - ax;
      const y = row + 0.5 - ay;
      const p = SIDE * row + column;
      // The nearest point of the line, as a share of the way from its start.
      const along = squaredLength === 0 ? 0 : clamp((x * dx + y * dy) / squaredLength, 0, 1);
      const distance = Math.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2);
      distances[p] = Math.min(distances[p], distance);
    }
  }
}

// Returns an image of 28 x 28 bytes that shows lines, moved by (right, down). The edges of the pen
// are grey: a pixel's ink falls from full to none over one pixel, at half of the pen's width.
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
  return Uint8Array.from(distances, (distance) => {
    const ink = clamp(PEN / 2 + 0.5 - distance, 0, 1);
    return Math.round(255 * ink);
  });
}

// Returns the centre of mass of an image.
function findCentre(image) {
  let mass = 0;
  let across = 0;
  let below = 0;
  image.forEach((ink, p) => {
    mass += ink;
    across += ink * ((p % SIDE) + 0.5);
    below += ink * (Math.floor(p / SIDE) + 0.5);
  });
  return { x: across / mass, y: below / mass };
}

// Returns strokes as an image in the form of MNIST's digits. Strokes are lists of points [x, y] in
// fractions of the pad. Their place and size on the pad do not matter: they are scaled in
// proportion to fit into 20 x 20 pixels, and their centre of mass is moved to the middle (Y. LeCun
// et al. 1998, Gradient-based learning applied to document recognition, section III.A). A dot stays
// a dot.
export function imageOf(strokes) {
  const points = strokes.flat();
  if (points.length === 0) return new Uint8Array(PIXELS);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const left = Math.min(...xs);
  const top = Math.min(...ys);
  const width = Math.max(...xs) - left;
  const height = Math.max(...ys) - top;
  const scale = (BOX - PEN) / Math.max(width, height, DOT);
  const lines = strokes.map((stroke) =>
    stroke.map(([x, y]) => [(x - left) * scale, (y - top) * scale]),
  );
  const centre = findCentre(rasterise(lines, TRIAL, TRIAL));
  // Returns how far the lines are moved along an axis. No ink may leave the image.
  const findMove = (middle, extent) =>
    clamp(TRIAL + MIDDLE - middle, PEN / 2, SIDE - PEN / 2 - extent);
  const right = findMove(centre.x, width * scale);
  const down = findMove(centre.y, height * scale);
  return rasterise(lines, right, down);
}

// Returns the scores of an image, its hidden units, the labels of the two largest scores, and each
// pixel's contribution to the largest score.
export function read(image, { normalisation, weights }) {
  const size = weights.second.length / DIGITS;
  const scores = new Float64Array(DIGITS);
  const hidden = new Float64Array(size);
  const mask = hidden.map(() => 1);
  const scaled = scalePixelValues(normalisation);
  const places = forward(image, scaled, weights, mask, hidden, scores);
  const answer = argmax(scores);
  const others = scores.slice();
  others[answer] = -Infinity;
  const second = argmax(others);
  const parts = new Float64Array(PIXELS);
  for (const p of places) {
    for (let h = 0; h < size; h++) {
      const isActive = hidden[h] > 0;
      if (!isActive) continue; // the unit passes nothing on
      const through = weights.first[p * size + h] * weights.second[h * DIGITS + answer];
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
