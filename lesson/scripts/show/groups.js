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
const select = (dots, kind) =>
  dots.filter((dot) => dot.kind === kind).sort((a, b) => a.accuracy - b.accuracy);

// Returns the mean, the lowest and the highest accuracy of a sorted group.
function measure(group) {
  const sum = group.reduce((total, { accuracy }) => total + accuracy, 0);
  return { mean: sum / group.length, low: group[0].accuracy, high: group.at(-1).accuracy };
}

function describeGroup({ dots, name }) {
  if (dots.length === 0) return `None yet ${name}.`;
  const { mean, low, high } = measure(dots);
  if (dots.length === 1) return `1 ${name}: ${formatPercent(mean)}.`;
  const ends = `from ${formatPercent(low)} to ${formatPercent(high)}`;
  return `${dots.length} ${name}: ${ends}, mean ${formatPercent(mean)}.`;
}

// Says how far the means of two groups lie apart, and whether the groups overlap.
function compareGroups(groups) {
  const measured = groups.map(({ dots, name }) => ({ dots, name, ...measure(dots) }));
  const [lower, upper] = measured.sort((a, b) => a.mean - b.mean);
  const apart = `Their means lie ${toPoints(upper.mean - lower.mean)} percentage points apart`;
  const gap = upper.low - lower.high;
  if (gap > 0) {
    const hasMany = groups.every((group) => group.dots.length >= MANY);
    const verdict = hasMany ? " That is hardly luck." : "";
    return `${apart}, and the groups do not overlap: ${toPoints(gap)} points lie between them.${verdict}`;
  }
  const inBoth = lower.dots.filter(({ accuracy }) => accuracy >= upper.low).length;
  return `${apart}, and the groups overlap: ${inBoth} of ${lower.dots.length} dots ${lower.name} reach the lowest dot ${upper.name}.`;
}

export function describeGroups(dots) {
  const groups = Object.entries(NAMES).map(([kind, name]) => ({ name, dots: select(dots, kind) }));
  const sentences = groups.map(describeGroup);
  if (groups.every((group) => group.dots.length > 1)) sentences.push(compareGroups(groups));
  return sentences.join(" ");
}

// Puts each dot of a sorted group as low as it fits. Returns the height of the highest stack.
function stack(group, findX, size) {
  const ends = []; // of the last dot at each height
  for (const dot of group) {
    const x = findX(dot.accuracy);
    const level = ends.findIndex((end) => end + size <= x);
    dot.level = level < 0 ? ends.length : level;
    ends[dot.level] = x;
  }
  return ends.length;
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

// Draws dots into an SVG element, in place of earlier ones.
export function drawGroups(svg, dots) {
  const values = [...USUAL, ...dots.map(({ accuracy }) => accuracy)];
  const places = findAxis(Math.min(...values), Math.max(...values));
  const [first, last] = [Number(places[0]), Number(places.at(-1))];
  const findX = (value) => EDGE + ((WIDTH - 2 * EDGE) * (value - first)) / (last - first);
  const groups = Object.keys(NAMES).map((kind) => select(dots, kind));
  const findHeights = (size) => groups.map((group) => size * stack(group, findX, size));
  const size = SIZES.find((each) => Math.max(...findHeights(each)) <= MOST) ?? SIZES.at(-1);
  const heights = findHeights(size).map((height) => Math.max(height, 2 * size) + LABEL);
  const height = heights[0] + heights[1];
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height + 20}`);
  svg.replaceChildren();
  drawAxis(svg, places, findX, height);
  let bottom = 0;
  for (const [i, name] of Object.values(NAMES).entries()) {
    const text = `${name}: ${groups[i].length}`;
    addElement(svg, "text", { class: "name", x: EDGE, y: bottom + 14 }, text);
    bottom += heights[i];
    addElement(svg, "line", { x1: 0, x2: WIDTH, y1: bottom, y2: bottom, class: "ground" });
    for (const dot of groups[i]) {
      const place = { cx: findX(dot.accuracy), cy: bottom - size * (dot.level + 0.5) };
      addElement(svg, "circle", { class: `dot ${dot.kind}`, r: 0.45 * size, ...place });
    }
  }
}
