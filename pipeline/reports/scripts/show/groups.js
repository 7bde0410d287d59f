// Draws two groups of dots, with the slip and without, over one axis of accuracies, and says in a
// sentence how far they lie apart.
import { addElement, count } from "./dom.js";
import { findAxis } from "./plot.js";

const WIDTH = 340; // of the drawing
const EDGE = 16; // beside the axis
const SIZE = 10; // of a dot
const USUAL = [0.76, 0.88]; // the axis has room for these accuracies at least
const LABEL = 22; // the height of the name of a group
const NAMES = { with: "with the slip", without: "without the slip" };

const points = (difference) => `${(100 * difference).toFixed(1)} points`;
const percent = (accuracy) => (100 * accuracy).toFixed(1);
const select = (dots, kind) =>
  dots.filter((dot) => dot.kind === kind).sort((a, b) => a.accuracy - b.accuracy);

// The mean and the ends of a group, which is sorted.
function measure(group) {
  const sum = group.reduce((total, { accuracy }) => total + accuracy, 0);
  return { mean: sum / group.length, low: group[0].accuracy, high: group.at(-1).accuracy };
}

function describeGroup(group, name) {
  if (group.length === 0) return `None yet ${name}.`;
  const { mean, low, high } = measure(group);
  if (group.length === 1) return `1 ${name}: ${percent(mean)} %.`;
  const ends = `from ${percent(low)} to ${percent(high)} %`;
  return `${group.length} ${name}: ${ends}, mean ${percent(mean)} %.`;
}

// Says whether two groups overlap, and how far their means lie apart.
function compareGroups(ours, others) {
  const [a, b] = [ours, others].map(measure);
  const apart = `Their means lie ${points(Math.abs(a.mean - b.mean))} apart`;
  const gap = Math.max(b.low - a.high, a.low - b.high);
  if (gap > 0) return `${apart}, and the groups do not overlap: ${points(gap)} lie between them.`;
  const countWithin = (group, { low, high }) =>
    group.filter(({ accuracy }) => accuracy >= low && accuracy <= high).length;
  const among = countWithin(ours, b) + countWithin(others, a);
  const dots = count(among, "dot lies", "dots lie");
  return `${apart}, and the groups overlap: ${dots} where the other group has some, too.`;
}

export function describeGroups(dots) {
  const groups = Object.keys(NAMES).map((kind) => select(dots, kind));
  const sentences = groups.map((group, i) => describeGroup(group, Object.values(NAMES)[i]));
  if (groups.every((group) => group.length > 1)) sentences.push(compareGroups(...groups));
  return sentences.join(" ");
}

// Puts each dot of a sorted group as low as it fits. Returns how many stand above each other.
function stack(group, findX) {
  const ends = []; // of the last dot at each height
  for (const dot of group) {
    const x = findX(dot.accuracy);
    const level = ends.findIndex((end) => end + SIZE <= x);
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

// Draws dots into an SVG element, in place of those before. Returns them, each with its circle.
export function drawGroups(svg, dots) {
  const values = [...USUAL, ...dots.map(({ accuracy }) => accuracy)];
  const places = findAxis(Math.min(...values), Math.max(...values));
  const [first, last] = [Number(places[0]), Number(places.at(-1))];
  const findX = (value) => EDGE + ((WIDTH - 2 * EDGE) * (value - first)) / (last - first);
  const rows = Object.entries(NAMES).map(([kind, name]) => {
    const group = select(dots, kind);
    return { kind, name, group, height: SIZE * Math.max(2, stack(group, findX)) + LABEL };
  });
  const height = rows.reduce((sum, row) => sum + row.height, 0);
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height + 20}`);
  svg.replaceChildren();
  drawAxis(svg, places, findX, height);
  const marks = [];
  let bottom = 0;
  for (const { kind, name, group, height: own } of rows) {
    addElement(svg, "text", { class: "name", x: EDGE, y: bottom + 14 }, `${name}: ${group.length}`);
    bottom += own;
    addElement(svg, "line", { x1: 0, x2: WIDTH, y1: bottom, y2: bottom, class: "ground" });
    for (const dot of group) {
      const place = { cx: findX(dot.accuracy), cy: bottom - SIZE * (dot.level + 0.5) };
      const shape = { class: `dot ${kind}`, r: SIZE / 2 - 0.5, ...place };
      marks.push({ dot, circle: addElement(svg, "circle", shape) });
    }
  }
  return marks;
}
