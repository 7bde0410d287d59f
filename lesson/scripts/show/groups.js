// Draws two groups of dots, with the slip and without, over one axis of accuracies. Says in words
// how far apart the groups lie.
import { addElement, formatPercent } from "../../../pipeline/reports/scripts/show/dom.js";
import { findAxis } from "../../../pipeline/reports/scripts/show/plot.js";

const WIDTH = 340; // of the drawing
const EDGE = 16; // beside the axis
const SIZES = [10, 7, 5, 3.5]; // of a dot: the largest that keeps each group no higher than MOST
const MOST = 150;
const USUAL = [0.76, 0.88]; // the axis has room for these accuracies at least
const MANY = 10; // dots of a group
const LABEL = 22; // the height of the name of a group
const NAMES = { with: "with the slip", without: "without the slip" };

const toPoints = (difference) => (100 * difference).toFixed(1);

// Returns both groups, each with its name and with its dots by ascending accuracy.
const makeGroups = (dots) =>
  Object.entries(NAMES).map(([kind, name]) => {
    const ofKind = dots.filter((dot) => dot.kind === kind);
    return { name, dots: ofKind.sort((a, b) => a.accuracy - b.accuracy) };
  });

// Returns a group with the mean, the lowest and the highest of its accuracies.
function measure({ name, dots }) {
  const sum = dots.reduce((total, { accuracy }) => total + accuracy, 0);
  const low = dots[0].accuracy;
  const high = dots.at(-1).accuracy;
  return { name, dots, mean: sum / dots.length, low, high };
}

function describeGroup(group) {
  const { name, dots } = group;
  if (dots.length === 0) return `None yet ${name}.`;
  const { mean, low, high } = measure(group);
  if (dots.length === 1) return `1 ${name}: ${formatPercent(mean)}.`;
  const ends = `from ${formatPercent(low)} to ${formatPercent(high)}`;
  return `${dots.length} ${name}: ${ends}, mean ${formatPercent(mean)}.`;
}

// Says how far the means of two groups lie apart, and whether the groups overlap.
function compareGroups(groups) {
  const [lower, upper] = groups.map(measure).sort((a, b) => a.mean - b.mean);
  const apart = `Their means lie ${toPoints(upper.mean - lower.mean)} percentage points apart`;
  const gap = upper.low - lower.high;
  if (gap > 0) {
    const hasMany = groups.every(({ dots }) => dots.length >= MANY);
    const verdict = hasMany ? " That is hardly luck." : "";
    return `${apart}, and the groups do not overlap: ${toPoints(gap)} points lie between them.${verdict}`;
  }
  const inBoth = lower.dots.filter(({ accuracy }) => accuracy >= upper.low).length;
  return `${apart}, and the groups overlap: ${inBoth} of ${lower.dots.length} dots ${lower.name} reach the lowest dot ${upper.name}.`;
}

export function describeGroups(dots) {
  const groups = makeGroups(dots);
  const sentences = groups.map(describeGroup);
  if (groups.every((group) => group.dots.length > 1)) sentences.push(compareGroups(groups));
  return sentences.join(" ");
}

// Returns the lowest row in which each dot of a sorted group fits beside the dots before it. Row 1
// is at the bottom. size: the space that a dot takes in its row.
function findRows({ dots }, findX, size) {
  const free = []; // where the next dot of each row may be
  return dots.map(({ accuracy }) => {
    const x = findX(accuracy);
    const found = free.findIndex((start) => start <= x);
    const index = found === -1 ? free.length : found; // a new row, if there is no room
    free[index] = x + size;
    return index + 1;
  });
}

function drawAxis(svg, places, findX, height) {
  const grid = addElement(svg, "g", { class: "grid" });
  places.forEach((place, i) => {
    const x = findX(Number(place));
    const unit = i === places.length - 1 ? " %" : "";
    const text = `${Math.round(100 * place)}${unit}`;
    addElement(grid, "line", { x1: x, x2: x, y1: 0, y2: height });
    addElement(grid, "text", { x, y: height + 14, "text-anchor": "middle" }, text);
  });
}

// Returns the largest size of a dot with which no group is too high, or else the smallest size.
function chooseSize(groups, findX) {
  const findHeight = (group, size) => size * Math.max(...findRows(group, findX, size));
  const fits = (size) => groups.every((group) => findHeight(group, size) <= MOST);
  return SIZES.find(fits) ?? SIZES.at(-1);
}

// Draws the name of a group below `top`, and its dots on a line at the height `ground`.
function drawGroup(svg, { name, dots }, rows, findX, size, top, ground) {
  const text = `${name}: ${dots.length}`;
  addElement(svg, "text", { class: "name", x: EDGE, y: top + 14 }, text);
  addElement(svg, "line", { x1: 0, x2: WIDTH, y1: ground, y2: ground, class: "ground" });
  dots.forEach(({ kind, accuracy }, i) => {
    const centre = { cx: findX(accuracy), cy: ground - size * (rows[i] - 0.5) };
    addElement(svg, "circle", { class: `dot ${kind}`, r: 0.45 * size, ...centre });
  });
}

// Draws dots into an SVG element, in place of earlier ones.
export function drawGroups(svg, dots) {
  const values = [...USUAL, ...dots.map(({ accuracy }) => accuracy)];
  const places = findAxis(Math.min(...values), Math.max(...values));
  const first = Number(places[0]);
  const last = Number(places.at(-1));
  const findX = (value) => EDGE + ((WIDTH - 2 * EDGE) * (value - first)) / (last - first);

  const [upper, lower] = makeGroups(dots);
  const size = chooseSize([upper, lower], findX);
  const upperRows = findRows(upper, findX, size);
  const lowerRows = findRows(lower, findX, size);
  const findHeight = (rows) => size * Math.max(2, ...rows) + LABEL; // with room for two rows at least
  const middle = findHeight(upperRows);
  const bottom = middle + findHeight(lowerRows);

  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${bottom + 20}`);
  svg.replaceChildren();
  drawAxis(svg, places, findX, bottom);
  drawGroup(svg, upper, upperRows, findX, size, 0, middle);
  drawGroup(svg, lower, lowerRows, findX, size, middle, bottom);
}
