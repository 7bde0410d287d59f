// Draws the curves of training runs into plots, and writes a name at the end of each curve. The
// axes of a plot are part of the HTML.
import { addElement } from "./dom.js";

const WIDTH = 600; // of a plot
const HEIGHT = 240;
const STEPS = [0.02, 0.05, 0.1, 0.2]; // of an axis of accuracies
const MOST_STEPS = 7;
const SPACE = 28; // between the names of two lines

// Returns the places of an axis, which are round numbers from below the lowest value to above the
// highest one.
export function findAxis(lowest, highest) {
  const countSteps = (step) => Math.ceil(highest / step) - Math.floor(lowest / step);
  const step = STEPS.find((each) => countSteps(each) <= MOST_STEPS) ?? STEPS.at(-1);
  const first = Math.floor(lowest / step);
  const length = Math.max(Math.ceil(highest / step) - first, 1) + 1;
  return Array.from({ length }, (_, i) => ((first + i) * step).toFixed(step < 0.1 ? 2 : 1));
}

// Moves sorted heights apart, so that each name has its space, and none is below `bottom`.
export function spread(heights, bottom) {
  let last = -SPACE;
  const spaced = heights.map((height) => {
    last = Math.max(height, last + SPACE);
    return last;
  });
  return spaced.map((height, i) => Math.min(height, bottom - SPACE * (heights.length - 1 - i)));
}

// Writes a name beside the end of each line, and connects it to the line.
export function labelEnds(svg) {
  for (const each of svg.querySelectorAll(".end, .leader")) each.remove();
  const ends = [...svg.querySelectorAll("polyline[data-label][points]")]
    .map(({ dataset, points }) => ({ point: points[points.length - 1], label: dataset.label }))
    .filter(({ point }) => point)
    .sort((a, b) => a.point.y - b.point.y);
  const heights = spread(
    ends.map(({ point }) => point.y),
    HEIGHT,
  );
  ends.forEach(({ point: { x, y }, label }, i) => {
    const inPlot = Math.max(-10, Math.min(y, HEIGHT + 10)); // a curve may leave the plot
    const d = `M${x + 2} ${inPlot}L${x + 14} ${heights[i]}`;
    addElement(svg, "path", { class: "leader", d });
    const place = { x: x + 18, y: heights[i] + 7 };
    addElement(svg, "text", { class: "end", "data-label": label, ...place }, label);
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

  findHeight(value) {
    const [bottom, top] = [Number(this.places[0]), Number(this.places.at(-1))];
    return HEIGHT * (1 - Math.min((value - bottom) / (top - bottom), 1.1));
  }

  drawAll() {
    for (const polyline of this.lines.keys()) this.draw(polyline);
    labelEnds(this.svg);
  }

  draw(polyline) {
    const points = this.lines.get(polyline).map((value, i) => {
      const x = (WIDTH * (i + 1)) / this.count;
      return `${x},${this.findHeight(value).toFixed(1)}`;
    });
    // A single point would not be visible.
    if (points.length === 1) points.unshift(points[0].replace(/^[^,]*/, "0"));
    polyline.setAttribute("points", points.join(" "));
  }
}
