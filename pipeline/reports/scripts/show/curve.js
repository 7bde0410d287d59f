// Draws the loss over a weight: a parabola, the next step, and steps before.

import { findCurve, findReach } from "../compute/sums.js";
import { formatShort } from "./dom.js";
import { isStill } from "./view.js";

// Places in a parabola's picture.
const LEFT = -70;
const RIGHT = 400;
const MARGIN = 10; // of the curve, at its left and right
const BASE = 180; // of the axis
const TOP = 30; // of the highest loss
const BOTTOM = 170; // of the least
const ROOM = 80; // for the number at an end of the axis
const POINTS = 121; // of a curve
const SHORTEST = 18; // of an arrow

const divide = (low, high, count) =>
  Array.from({ length: count }, (_, k) => low + ((high - low) * k) / (count - 1));

// The part of a curve that a picture shows. reach: the least weight and the highest.
export function findFrame(network, weight, reach = findReach(network, weight)) {
  const [low, high] = reach;
  const curve = findCurve(network, weight, divide(low, high, POINTS));
  const losses = curve.map(([, loss]) => loss);
  return { low, high, least: Math.min(...losses), most: Math.max(...losses) };
}

// The same frame as long as the weight and its loss are in it, else a wider one.
export function widenFrame(network, weight, frame) {
  let { low, high } = frame;
  while (weight.weight < low || weight.weight > high) {
    const half = (high - low) / 2;
    low -= half;
    high += half;
  }
  const [[, loss]] = findCurve(network, weight, [weight.weight]);
  const isWidened = low !== frame.low;
  if (!isWidened && loss >= frame.least && loss <= frame.most) return frame;
  const wider = findFrame(network, weight, [low, high]);
  return { ...frame, ...wider, least: Math.min(frame.least, wider.least) };
}

// Returns what finds the place in the picture of a weight and its loss.
function placeIn({ low, high, least, most }) {
  const width = RIGHT - 2 * MARGIN;
  return ([weight, loss]) => [
    MARGIN + ((weight - low) / (high - low)) * width,
    BOTTOM - ((loss - least) / (most - least || 1)) * (BOTTOM - TOP),
  ];
}

// The next of 1, 2, 5, 10, 20, 50, ...
function roundUp(number) {
  const ten = 10 ** Math.max(0, Math.floor(Math.log10(number)));
  return [1, 2, 5, 10].map((each) => each * ten).find((each) => each >= number);
}

// The length of the next step in the picture.
const findStep = ({ rate }, { slope }, { low, high }) =>
  (-rate * slope * (RIGHT - 2 * MARGIN)) / (high - low);

// How many times too long arrows are drawn, so that the first of them is seen.
export function findStretch(network, weight, frame) {
  const step = findStep(network, weight, frame);
  return step ? roundUp(SHORTEST / Math.abs(step)) : 1;
}

function drawArrow(x, y, length) {
  const end = x + length;
  const neck = end - Math.min(8, Math.abs(length)) * Math.sign(length);
  return `<line class="arrow" x1="${x}" y1="${y}" x2="${neck}" y2="${y}"/>
    <polygon points="${end},${y} ${neck},${y - 5} ${neck},${y + 5}"/>`;
}

const drawText = (x, y, anchor, text) =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

// Names the highest and the least loss at the left, with digits in which they differ.
function drawScale({ least, most }) {
  const range = most - least || 1;
  const digits = Math.max(0, Math.min(12, 2 - Math.floor(Math.log10(range))));
  const ends = [
    [TOP, least + range],
    [BOTTOM, least],
  ];
  const ticks = ends.map(
    ([y, loss]) => `<line class="tick" x1="0" x2="${RIGHT}" y1="${y}" y2="${y}"/>
      <text class="scale" x="-6" y="${y + 4}" text-anchor="end">${loss.toFixed(digits)}</text>`,
  );
  return ticks.join("") + drawText(-6, TOP - 16, "end", "loss");
}

// Draws the loss over a weight, its next step, and pale where it was before. trail: these weights,
// each with its loss.
export function drawCurve(network, weight, frame, trail, hasArrow) {
  const { low, high } = frame;
  const place = placeIn(frame);
  const curve = findCurve(network, weight, [...divide(low, high, POINTS), weight.weight]);
  const [, loss] = curve.at(-1);
  const points = curve.map(place);
  const [x, y] = points.pop();
  const step = findStep(network, weight, frame);
  const { stretch } = frame;
  const [start, now, end] = [low, weight.weight, high].map(formatShort);
  const old = trail
    .map(place)
    .map(([cx, cy]) => `<circle class="old" cx="${cx}" cy="${cy}" r="6"/>`);
  const picture = `<svg class="curve" viewBox="${LEFT} 0 ${RIGHT - LEFT} 200" role="img"
    aria-label="The loss over this weight, while the others stay">
    <line x2="${RIGHT}" y1="${BASE}" y2="${BASE}"/>
    ${drawScale(frame)}
    <polyline points="${points.join(" ")}"/>
    ${old.join("")}
    <line x1="${x}" x2="${x}" y1="${y}" y2="${BASE}" stroke-dasharray="3"/>
    <circle class="now" cx="${x}" cy="${y}" r="7"/>
    ${step && hasArrow ? drawArrow(x, y - 14, step * stretch) : ""}
    ${x > ROOM ? drawText(4, BASE + 16, "start", start) : ""}
    ${drawText(x, BASE + 16, "middle", now)}
    ${x < RIGHT - ROOM ? drawText(RIGHT - 4, BASE + 16, "end", end) : ""}
    </svg>`;
  return { picture, stretch, loss };
}

// Rolls the dot along the curve to where it is, from where the weight was before.
export function roll(root, network, weight, frame, start) {
  if (isStill()) return;
  const curve = findCurve(network, weight, divide(start, weight.weight, 13));
  const points = curve.map(placeIn(frame));
  const [x, y] = points.at(-1);
  const moves = points.map(([cx, cy]) => ({ transform: `translate(${cx - x}px, ${cy - y}px)` }));
  root.querySelector(".now").animate(moves, 300);
}
