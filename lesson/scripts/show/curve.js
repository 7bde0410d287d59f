// Draws the loss over a weight: a parabola, its slope where the weight is, and earlier steps.

import { findCurve, findReach } from "../compute/sums.js";
import { format } from "./words.js";

// Places in the picture of a curve.
const LEFT = -70;
const RIGHT = 400;
const MARGIN = 24; // of the curve, at its left and right
const BASE = 180; // of the axis
const TOP = 30; // of the highest loss
const BOTTOM = 170; // of the least
const POINTS = 121; // of a curve
const TANGENT = 45; // half of its length

const divide = (low, high, count) =>
  Array.from({ length: count }, (_, k) => low + ((high - low) * k) / (count - 1));

// Returns the part of a curve that a picture shows. Its centre is the bottom of the curve, and it
// includes the weight and its earlier places. trail: these places, each with its loss.
export function findFrame(network, weight, trail) {
  const [centre, half] = findReach(network, weight);
  const distances = trail.map(([place]) => 1.25 * Math.abs(place - centre));
  const reach = Math.max(half, ...distances);
  const [low, high] = [centre - reach, centre + reach];
  const losses = findCurve(network, weight, divide(low, high, POINTS)).map(([, loss]) => loss);
  return { low, high, least: Math.min(...losses), most: Math.max(...losses) };
}

// Returns whether a weight and its loss are in a frame.
export function isInFrame(network, weight, { low, high, least, most }) {
  const [[place, loss]] = findCurve(network, weight, [weight.weight]);
  return place >= low && place <= high && loss >= least && loss <= most;
}

const WIDTH = RIGHT - 2 * MARGIN; // of the frame

// Returns a function from a weight and its loss to their place in the picture.
function placeIn({ low, high, least, most }) {
  return ([weight, loss]) => [
    MARGIN + ((weight - low) / (high - low)) * WIDTH,
    BOTTOM - ((loss - least) / (most - least || 1)) * (BOTTOM - TOP),
  ];
}

// Returns the weight at a horizontal place of the screen.
export function findWeightAt(svg, { low, high }, clientX) {
  const { left, width } = svg.getBoundingClientRect();
  const x = LEFT + ((clientX - left) / width) * (RIGHT - LEFT);
  const share = Math.max(0, Math.min(1, (x - MARGIN) / WIDTH));
  return low + share * (high - low);
}

// Draws the slope as a line that touches the curve where the weight is. The slope is a change of the
// loss over a change of the weight. Because these two have different scales in the picture, the
// slope is converted to `rise`: how far the line rises for each unit to the right.
function drawTangent(frame, [x, y], slope) {
  const { low, high, least, most } = frame;
  const range = most - least || 1; // as in placeIn: a flat curve has no range
  const rise = (slope * (high - low) * (BOTTOM - TOP)) / (range * WIDTH);
  const across = TANGENT / Math.hypot(1, rise);
  const down = -rise * across;
  return `<line class="tangent" x1="${x - across}" y1="${y - down}" x2="${x + across}" y2="${y + down}"/>`;
}

const drawText = (x, y, anchor, text) =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

// Writes the highest and the least loss at the left.
function drawScale({ least, most }) {
  const ends = [
    [TOP, most],
    [BOTTOM, least],
  ];
  const ticks = ends.map(
    ([y, loss]) => `<line class="tick" x1="0" x2="${RIGHT}" y1="${y}" y2="${y}"/>
      <text class="scale" x="-6" y="${y + 4}" text-anchor="end">${format(loss)}</text>`,
  );
  return ticks.join("") + drawText(-6, TOP - 16, "end", "loss");
}

// Draws the loss over a weight, its slope, and the earlier places of the weight as pale circles.
export function drawCurve(network, weight, frame, trail) {
  const { low, high } = frame;
  const place = placeIn(frame);
  const points = findCurve(network, weight, divide(low, high, POINTS)).map(place);
  const [[x, y]] = findCurve(network, weight, [weight.weight]).map(place); // of the weight now
  const [start, now, end] = [low, weight.weight, high].map(format);
  const old = trail
    .map(place)
    .map(([cx, cy]) => `<circle class="old" cx="${cx}" cy="${cy}" r="6"/>`);
  return `<svg class="curve" viewBox="${LEFT} 0 ${RIGHT - LEFT} 216" role="img"
    aria-label="The loss over this weight, while the others stay">
    <line x2="${RIGHT}" y1="${BASE}" y2="${BASE}"/>
    ${drawScale(frame)}
    <polyline points="${points.join(" ")}"/>
    ${old.join("")}
    <line x1="${x}" x2="${x}" y1="${y}" y2="${BASE}" stroke-dasharray="3"/>
    ${drawTangent(frame, [x, y], weight.slope)}
    <circle class="now" cx="${x}" cy="${y}" r="9"/>
    ${drawText(MARGIN, BASE + 16, "middle", start)}
    ${drawText(x, BASE + 32, "middle", now)}
    ${drawText(RIGHT - MARGIN, BASE + 16, "middle", end)}
    </svg>`;
}
