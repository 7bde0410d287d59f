// Draws the loss over a weight: a parabola, its slope where the weight is, and earlier steps.

import { findLoss, findLosses, findReach } from "../compute/sums.js";
import { format, formatNear } from "./words.js";

// Places in the picture of a curve.
const LEFT = -70;
const RIGHT = 400;
const MARGIN = 24; // of the curve, at its left and right
const BASE = 180; // of the axis
const TOP = 30; // of the highest loss
const BOTTOM = 170; // of the least
const POINTS = 121; // of a curve
const TANGENT = 45; // half of its length

// Returns values of the weight from one end of a frame to the other, at equal distances.
const divide = ({ low, high }) =>
  Array.from({ length: POINTS }, (_, k) => low + ((high - low) * k) / (POINTS - 1));

// Returns the part of a curve that a picture shows: the lowest and the highest weight, the least
// and the highest loss, and the range of the losses. The part includes the weight and its earlier
// values. trail: these values, each with its loss.
export function findFrame(network, weight, trail) {
  const { centre, reach } = findReach(network, weight);
  const distances = trail.map((earlier) => 1.25 * Math.abs(earlier.weight - centre));
  const half = Math.max(reach, ...distances);
  const ends = { low: centre - half, high: centre + half };
  const losses = findLosses(network, weight, divide(ends));
  const least = Math.min(...losses);
  const most = Math.max(...losses);
  const range = most > least ? most - least : 1; // any number will do for a flat curve
  return { ...ends, least, most, range };
}

// Returns whether a weight and its loss are in a frame.
export function isInFrame(network, { weight }, { low, high, least, most }) {
  const loss = findLoss(network);
  return weight >= low && weight <= high && loss >= least && loss <= most;
}

const WIDTH = RIGHT - 2 * MARGIN; // of the frame

// Returns a function from a weight and its loss to their place in the picture.
function placeIn({ low, high, least, range }) {
  return (weight, loss) => [
    MARGIN + ((weight - low) / (high - low)) * WIDTH,
    BOTTOM - ((loss - least) / range) * (BOTTOM - TOP),
  ];
}

// Returns the weight at a horizontal place of the screen.
export function findWeightAt(svg, { low, high }, clientX) {
  const { left, width } = svg.getBoundingClientRect();
  const x = LEFT + ((clientX - left) / width) * (RIGHT - LEFT); // in the picture
  const share = Math.max(0, Math.min(1, (x - MARGIN) / WIDTH));
  return low + share * (high - low);
}

// Draws the slope as a line that touches the curve at the point (x, y), where the weight is.
function drawTangent({ low, high, range }, x, y, slope) {
  // The slope is a change of the loss over a change of the weight. In the picture, `range` losses
  // have the height of the frame, and the weights from `low` to `high` have its width. So the line
  // rises by this much for each unit to the right.
  const rise = (slope * (high - low) * (BOTTOM - TOP)) / (range * WIDTH);
  // The line has the same length, however steep it is.
  const across = TANGENT / Math.hypot(1, rise);
  const down = -rise * across; // because y grows downwards
  return `<line class="tangent" x1="${x - across}" y1="${y - down}" x2="${x + across}" y2="${y + down}"/>`;
}

const drawText = (x, y, anchor, text) =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

// Writes the highest and the least loss at the left.
function drawScale({ least, most }) {
  const drawTick = (y, loss) => `<line class="tick" x1="0" x2="${RIGHT}" y1="${y}" y2="${y}"/>
      <text class="scale" x="-6" y="${y + 4}" text-anchor="end">${formatNear(loss)}</text>`;
  return drawTick(TOP, most) + drawTick(BOTTOM, least) + drawText(-6, TOP - 16, "end", "loss");
}

// Draws the loss over a weight, its slope, and the earlier places of the weight as pale circles.
export function drawCurve(network, weight, frame, trail) {
  const place = placeIn(frame);
  const values = divide(frame);
  const losses = findLosses(network, weight, values);
  const points = values.map((value, k) => place(value, losses[k]));
  const [x, y] = place(weight.weight, findLoss(network)); // where the weight is now
  const old = trail.map((earlier) => {
    const [cx, cy] = place(earlier.weight, earlier.loss);
    return `<circle class="old" cx="${cx}" cy="${cy}" r="6"/>`;
  });
  return `<svg class="curve" viewBox="${LEFT} 0 ${RIGHT - LEFT} 216" role="img"
    aria-label="The loss over this weight, while the others stay">
    <line x2="${RIGHT}" y1="${BASE}" y2="${BASE}"/>
    ${drawScale(frame)}
    <polyline points="${points.join(" ")}"/>
    ${old.join("")}
    <line x1="${x}" x2="${x}" y1="${y}" y2="${BASE}" stroke-dasharray="3"/>
    ${drawTangent(frame, x, y, weight.slope)}
    <circle class="now" cx="${x}" cy="${y}" r="9"/>
    ${drawText(MARGIN, BASE + 16, "middle", format(frame.low))}
    ${drawText(x, BASE + 32, "middle", format(weight.weight))}
    ${drawText(RIGHT - MARGIN, BASE + 16, "middle", format(frame.high))}
    </svg>`;
}
