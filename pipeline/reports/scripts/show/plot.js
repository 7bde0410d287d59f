// Draws the curves of training runs into plots, and writes a name at the end of each curve. The
// axes of a plot are part of the HTML.
import { addElement } from "./dom.js";

const WIDTH = 600; // of a plot
const HEIGHT = 440;
const STEPS = [0.02, 0.05, 0.1, 0.2]; // of an axis of accuracies
const MOST_STEPS = 7;
const SPACE = 28; // between the names of two lines

// Returns the places of an axis, as texts. They are the multiples of a round step, from at or below
// the lowest value to at or above the highest one. There are two places at least.
export function findAxis(lowest, highest) {
  const countSteps = (step) => Math.ceil(highest / step) - Math.floor(lowest / step);
  const step = STEPS.find((each) => countSteps(each) <= MOST_STEPS) ?? STEPS.at(-1);
  const first = Math.floor(lowest / step); // in steps
  const last = Math.max(Math.ceil(highest / step), first + 1);
  const decimals = step < 0.1 ? 2 : 1;
  const length = last - first + 1;
  return Array.from({ length }, (_, i) => ((first + i) * step).toFixed(decimals));
}

// Moves sorted heights apart, so that each name has its space, and none is below `bottom`.
function spread(heights, bottom) {
  let last = -SPACE;
  const spaced = heights.map((height) => {
    last = Math.max(height, last + SPACE);
    return last;
  });
  return spaced.map((height, i) => Math.min(height, bottom - SPACE * (heights.length - 1 - i)));
}

// Writes a name beside the end of each line that has points, and connects it to the line.
export function labelEnds(svg) {
  for (const each of svg.querySelectorAll(".end, .leader")) each.remove();
  const curves = [...svg.querySelectorAll("polyline[data-label]")];
  const ends = curves
    .filter(({ points }) => points.length > 0)
    .map(({ dataset, points }) => ({ label: dataset.label, point: points[points.length - 1] }))
    .sort((a, b) => a.point.y - b.point.y);
  const wanted = ends.map(({ point }) => point.y);
  const heights = spread(wanted, HEIGHT);
  ends.forEach(({ label, point }, i) => {
    const { x, y } = point;
    const height = heights[i]; // of the name
    const inPlot = Math.max(-10, Math.min(y, HEIGHT + 10)); // a curve may leave the plot
    const d = `M${x + 2} ${inPlot}L${x + 14} ${height}`;
    addElement(svg, "path", { class: "leader", d });
    const attributes = { class: "end", "data-label": label, x: x + 18, y: height + 7 };
    addElement(svg, "text", attributes, label);
  });
}

// A plot with the values of its lines.
export class Plot {
  constructor(svg) {
    this.svg = svg;
    this.lines = new Map();
    this.count = 1; // epochs across
    this.places = Array.from(svg.querySelectorAll(".grid line + text"), (text) => text.textContent);
  }

  setCount(count) {
    this.count = count;
    this.svg.querySelector(".epochs").textContent = count;
    this.drawAll();
  }

  // Draws the values of a line.
  set(polyline, values) {
    this.lines.set(polyline, values);
    this.draw(polyline);
  }

  // Returns how far below the top of the plot a value lies. A curve may rise a little above the plot.
  findHeight(value) {
    const bottom = Number(this.places[0]);
    const top = Number(this.places.at(-1));
    const share = Math.min((value - bottom) / (top - bottom), 1.1);
    return HEIGHT * (1 - share);
  }

  drawAll() {
    for (const polyline of this.lines.keys()) this.draw(polyline);
    labelEnds(this.svg);
  }

  draw(polyline) {
    const heights = this.lines.get(polyline).map((value) => this.findHeight(value).toFixed(1));
    const points = heights.map((y, i) => `${(WIDTH * (i + 1)) / this.count},${y}`);
    // A single point would not be visible, so it becomes a level line from the left edge.
    if (points.length === 1) points.unshift(`0,${heights[0]}`);
    polyline.setAttribute("points", points.join(" "));
  }
}
