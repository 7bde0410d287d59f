// Draws a small network from its state, and makes it live. See pipeline/lessons/diagram.py.
import { formatFixed, formatShort, keepKeys, make, makeButton } from "./dom.js";
import {
  bracket,
  explainPlace,
  explainWeight,
  makeRow,
  makeTable,
  RIGHT,
  reveal,
} from "./explain.js";
import { findError, findReach, findWeight, measure } from "./sums.js";

const STOPS = ["Forward", "Error", "Back", "Update"];
const MANY = 24; // weights, of which only those of the chosen place have their number beside them
const ROW = 7; // the height of a row of the picture, in rem
const SHARES = [0.3, 0.36, 0.42, 0.48, 0.54, 0.6, 0.66, 0.72]; // of a line, where its number may be

// The class of a number, which gives it its colour.
const signOf = (number) => (number > 0 ? "above" : number < 0 ? "below" : "zero");

// A network as sums.js has it, from the state of pipeline/lessons/diagram.py.
function readState({ weights, inputs, targets, learningRate, reluGradInactive }) {
  const sizes = [inputs.length, ...weights.map((matrix) => matrix[0].length)];
  const nouns = sizes.length === 2 ? ["input", "score"] : ["input", "unit", "score"];
  const nameOf = (layer, place) =>
    sizes[layer] === 1 ? `the ${nouns[layer]}` : `${nouns[layer]} ${place + 1}`;
  return {
    sizes,
    nouns,
    nameOf,
    weights: weights.map((matrix) => Float64Array.from(matrix.flat())),
    inputs: Float64Array.from(inputs),
    targets: Float64Array.from(targets),
    mask: new Float64Array(sizes.length > 2 ? sizes[1] : 0).fill(1),
    inactive: reluGradInactive,
    rate: learningRate,
    digits: 4,
    isTrimmed: true,
    most: 12,
  };
}

const listPlaces = ({ sizes }) =>
  sizes.flatMap((size, layer) => Array.from({ length: size }, (_, place) => [layer, place]));

const listWeights = ({ sizes }) =>
  sizes.slice(1).flatMap((size, before) =>
    Array.from({ length: size * sizes[before] }, (_, at) => ({
      layer: before + 1,
      from: Math.floor(at / size),
      to: at % size,
    })),
  );

// Chooses for each line's number the share of the line that is farthest from the other numbers, and
// from places that are taken.
function placeNumbers(lines, taken) {
  const places = [...taken];
  const numbers = [];
  for (const [start, end] of lines) {
    const free = SHARES.map((share) => {
      const [x, y] = start.map((value, axis) => value + share * (end[axis] - value));
      const gaps = places.map(([right, down]) =>
        Math.max(Math.abs(x - right) / 0.13, Math.abs(y - down) / 0.3),
      );
      return { at: [x, y], gap: Math.min(1, ...gaps) - 0.01 * Math.abs(share - 0.45) };
    });
    const { at } = free.reduce((best, each) => (each.gap > best.gap ? each : best));
    places.push(at);
    numbers.push(at);
  }
  return numbers;
}

const drawLine = ([x1, y1], [x2, y2]) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;

class Diagram {
  constructor(root, state) {
    this.root = root;
    this.state = state;
    this.begin();
    this.build();
    this.show();
  }

  begin() {
    this.network = measure(readState(this.state));
    this.stop = "";
    this.chosen = null; // a place [layer, place], or a weight
    this.reach = null; // the part of the parabola that is shown; it stays while one drags
    this.text =
      "Press a number to see what it is made of. Or make one step: forward, error, back, update.";
  }

  // The place of a circle's centre: across as a share of the picture, down in rows.
  locate(layer, place) {
    const { sizes } = this.network;
    const left = 0.1 + (0.66 * layer) / (sizes.length - 1);
    return [left, 0.75 + (Math.max(...sizes) - sizes[layer]) / 2 + place];
  }

  // The place of what stands under a circle.
  locateUnder(layer, place) {
    const [across, down] = this.locate(layer, place);
    return [across, down + 0.42];
  }

  build() {
    const rate = this.makeField(formatShort(this.network.rate), (value) => {
      this.network.rate = value;
    });
    this.rate = rate;
    this.stops = STOPS.map((name) =>
      makeButton(name, () => this.goTo(name), { class: "action", "aria-pressed": false }),
    );
    const again = makeButton("Start again", () => this.restart(), { class: "action" });
    this.says = make("p", { class: "says", role: "status" });
    this.flow = make("span");
    this.number = make("label", { class: "number" }, make("span"));
    this.field = this.makeField(0, (value) => this.setNumber(value));
    this.number.append(this.field);
    this.about = make("div", { class: "about" });
    this.listenToDrags();
    this.root.classList.add("network-diagram", "network-view");
    this.root.replaceChildren(
      make("p", {}, ...this.stops, again, make("label", {}, "learning rate ", rate)),
      this.says,
      this.buildPicture(),
      this.buildLegend(),
      this.number,
      this.about,
    );
  }

  makeField(value, change) {
    const field = make("input", { type: "number", step: "any", value, autocomplete: "off" });
    field.addEventListener("input", () => {
      if (!Number.isFinite(field.valueAsNumber)) return;
      change(field.valueAsNumber);
      this.renew();
    });
    return field;
  }

  buildPicture() {
    const { network } = this;
    const rows = Math.max(...network.sizes) + 0.5;
    this.places = listPlaces(network).map(([layer, place]) => this.buildPlace(layer, place));
    this.weights = listWeights(network).map((weight) => this.buildWeight(weight));
    const numbers = placeNumbers(
      this.weights.map(({ line }) => line),
      listPlaces(network)
        .filter(([layer]) => layer > 0)
        .map(([layer, place]) => this.locateUnder(layer, place)),
    );
    this.weights.forEach(({ button }, k) => {
      this.put(button, numbers[k]);
    });
    const picture = make("div", { class: "picture", style: `height: ${ROW * rows}rem` });
    picture.innerHTML = `<svg viewBox="0 0 1 ${rows}" preserveAspectRatio="none" aria-hidden="true">
      ${this.weights.map(({ line }) => drawLine(...line)).join("")}</svg>`;
    this.lines = picture.firstChild;
    const heads = network.nouns.map((noun, layer) => {
      const many = network.sizes[layer] > 1 ? `${noun}s` : noun;
      return this.put(make("span", { class: "head" }, many), [this.locate(layer, 0)[0], 0.12]);
    });
    const items = this.places.flatMap(({ button, under, target }) => [button, under, target ?? ""]);
    const buttons = this.weights.map(({ button }) => button);
    picture.append(...heads, ...items, ...buttons);
    return picture;
  }

  buildLegend() {
    const swatches = ["above", "below"].map((name) => make("i", { class: name }));
    const colours = ["Red ", swatches[0], " is above 0 and blue ", swatches[1], " below, "];
    const rest =
      "wider is larger and dotted is 0. The frame of a number has the colour of its weight.";
    return make("p", { class: "legend" }, ...colours, rest, this.flow);
  }

  // Puts an element's centre at a place of the picture.
  put(element, [across, down]) {
    element.style.left = `${100 * across}%`;
    element.style.top = `${ROW * down}rem`;
    return element;
  }

  buildPlace(layer, place) {
    const at = this.locate(layer, place);
    const choose = () => this.choose([layer, place]);
    const button = this.put(makeButton("", choose, { class: "place" }), at);
    const under = this.put(make("span", { class: "under" }), this.locateUnder(layer, place));
    const target =
      layer === this.network.weights.length &&
      this.put(make("span", { class: "target" }), [at[0] + 0.085, at[1]]);
    return { layer, place, button, under, target: target || null };
  }

  buildWeight(weight) {
    const { layer, from, to } = weight;
    const line = [this.locate(layer - 1, from), this.locate(layer, to)];
    const button = makeButton("", () => this.choose(weight), { class: "weight" });
    return { ...weight, line, button };
  }

  choose(chosen) {
    this.chosen = chosen;
    this.show();
    reveal(this.about);
  }

  restart() {
    this.begin();
    this.rate.value = formatShort(this.network.rate);
    this.show();
  }

  // Computes all numbers again after one has changed.
  renew() {
    this.network = measure(this.network);
    if (this.stop === "Update") this.stop = "";
    this.text = `Now the error is ${formatShort(findError(this.network))}.`;
    this.show();
  }

  // The list and the place in it of the number that can be changed where something is chosen.
  findNumber() {
    const { network, chosen } = this;
    if (!chosen) return null;
    if (!Array.isArray(chosen)) {
      const { at } = findWeight(network, chosen.layer, chosen.from, chosen.to);
      return { list: network.weights[chosen.layer - 1], at, name: "the weight" };
    }
    const [layer, at] = chosen;
    if (layer === 0) return { list: network.inputs, at, name: network.nameOf(0, at) };
    if (layer < network.weights.length) return null;
    return { list: network.targets, at, name: `the target of ${network.nameOf(layer, at)}` };
  }

  setNumber(value) {
    const { list, at } = this.findNumber();
    list[at] = value;
  }

  goTo(stop) {
    this.stop = stop;
    if (stop === "Update") this.update();
    else this.text = this.describe(stop);
    if (stop !== "Update") this.showSum(stop);
    this.show();
  }

  // Chooses what a stop is about: a score, or a unit, unless one is chosen.
  showSum(stop) {
    const { weights } = this.network;
    const layer = stop === "Error" || weights.length === 1 ? weights.length : 1;
    const isSum = Array.isArray(this.chosen) && this.chosen[0] > 0;
    if (isSum && (stop === "Forward" || this.chosen[0] === layer)) return;
    this.chosen = [layer, 0];
  }

  describe(stop) {
    const { network } = this;
    const error = formatShort(findError(network));
    const hasUnits = network.weights.length > 1;
    if (stop === "Forward") {
      const sums = hasUnits
        ? "Each unit adds inputs times weights, and the ReLU cuts it at 0. Each score is such a sum, too, without ReLU."
        : "Each score adds inputs times weights.";
      return `Forward: the numbers flow to the right. ${sums} A weight says how much a number counts in a sum, and whether for or against.`;
    }
    if (stop === "Error") {
      return `Error: each score minus its target is its error signal. The error is the sum of their squares, ${error}.`;
    }
    const inactive = network.inactive
      ? "By the slip, an inactive unit lets them through as if it were active."
      : "An inactive unit lets none through, because a small change of its sum changes no score.";
    return hasUnits
      ? `Back: the error signals flow to the left, through the same weights. ${inactive}`
      : "Back: the error signal meets the input. Their product is the slope of the loss over the weight.";
  }

  // Makes the step, and lists what it has changed.
  update() {
    const { network } = this;
    const before = formatShort(findError(network));
    this.steps = listWeights(network).map((weight) =>
      findWeight(network, weight.layer, weight.from, weight.to),
    );
    for (const { layer, at, slope } of this.steps) {
      network.weights[layer - 1][at] -= network.rate * slope;
    }
    this.network = measure(network);
    const after = formatShort(findError(this.network));
    this.chosen = null;
    this.text = `Update: each weight has moved by the learning rate times its slope, against the slope; nothing else has changed. The error was ${before} and is ${after}.`;
  }

  listenToDrags() {
    const move = (event) => {
      const toPicture = this.about.querySelector(".curve").getScreenCTM().inverse();
      const { x } = new DOMPoint(event.clientX).matrixTransform(toPicture);
      const share = (x - 10) / (RIGHT - 20); // as drawCurve has it
      const [low, high] = this.reach;
      const value = low + Math.max(0, Math.min(1, share)) * (high - low);
      this.setNumber(Number(value.toPrecision(3)));
      this.renew();
    };
    this.about.addEventListener("pointerdown", (event) => {
      if (!event.target.closest(".curve")) return;
      this.about.setPointerCapture(event.pointerId);
      this.isDragging = true;
      move(event);
    });
    this.about.addEventListener("pointermove", (event) => this.isDragging && move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.about.addEventListener(name, () => {
        if (!this.isDragging) return;
        this.isDragging = false;
        this.showAbout();
      });
    }
  }

  show() {
    this.root.dataset.stop = this.stop.toLowerCase();
    this.says.textContent = this.text;
    for (const button of this.stops) {
      button.setAttribute("aria-pressed", button.textContent === this.stop);
    }
    for (const place of this.places) this.showPlace(place);
    this.showWeights();
    this.showNumber();
    this.showAbout();
  }

  showPlace({ layer, place, button, under, target }) {
    const { network, stop, chosen } = this;
    const value = network.values[layer][place];
    const last = network.weights.length;
    const hasSignal = (stop === "Error" && layer === last) || (stop === "Back" && layer > 0);
    const signal = hasSignal && formatShort(network.signals[layer][place]);
    const isInactive = layer > 0 && layer < last && !(network.sums[layer][place] > 0);
    button.textContent = formatShort(value);
    button.classList.toggle("inactive", isInactive);
    button.setAttribute("aria-pressed", chosen?.[0] === layer && chosen[1] === place);
    const state = isInactive ? ", inactive" : "";
    const back = hasSignal ? `, error signal ${signal}` : "";
    const name = network.nameOf(layer, place);
    button.setAttribute("aria-label", `${name}: ${formatShort(value)}${state}${back}`);
    under.textContent = hasSignal ? `error signal ${signal}` : isInactive ? "inactive" : "";
    if (target) target.textContent = `target ${formatShort(network.targets[place])}`;
  }

  // Gives each line the colour and width of its weight, or of what flows through it.
  showWeights() {
    const { network, stop, chosen } = this;
    const found = this.weights.map(({ layer, from, to }) => findWeight(network, layer, from, to));
    const hasUnits = network.weights.length > 1;
    const flows = found.map(({ layer, weight, input, signal, slope }) => {
      if (stop === "Forward") return input * weight;
      if (stop !== "Back") return weight;
      if (hasUnits) return layer > 1 ? signal * weight : 0; // the inputs get no error signal
      return slope;
    });
    const most = Math.max(...flows.map(Math.abs)) || 1;
    const flow = { Forward: "what flows, a value times its weight", Back: "what flows back" };
    this.flow.textContent = ` A line is ${flow[stop] ?? "a weight"}.`;
    this.lines.setAttribute("class", `lines ${stop.toLowerCase()}`);
    this.weights.forEach(({ layer, from, to, button }, k) => {
      const shape = this.lines.children[k];
      const isOfPlace =
        (chosen?.[0] === layer && chosen[1] === to) ||
        (chosen?.[0] === layer - 1 && chosen[1] === from);
      const text = formatShort(found[k].weight);
      shape.setAttribute("class", signOf(flows[k]));
      shape.style.strokeWidth = 1 + (5 * Math.abs(flows[k])) / most;
      button.hidden = found.length > MANY && !isOfPlace;
      button.textContent = text;
      button.className = `weight ${signOf(found[k].weight)}`;
      const isChosen = chosen?.layer === layer && chosen.from === from && chosen.to === to;
      button.setAttribute("aria-pressed", isChosen);
      const names = `${network.nameOf(layer - 1, from)} to ${network.nameOf(layer, to)}`;
      button.setAttribute("aria-label", `weight from ${names}: ${text}`);
    });
  }

  showNumber() {
    const number = this.findNumber();
    this.number.hidden = !number;
    if (!number) return;
    this.number.firstChild.textContent = `Change ${number.name}: `;
    if (this.field !== document.activeElement)
      this.field.value = formatShort(number.list[number.at]);
  }

  showAbout() {
    const { network, chosen, about } = this;
    if (!Number.isFinite(findError(network))) {
      return about.replaceChildren(
        make(
          "p",
          {},
          "The error is no longer a number. Start again, with a smaller learning rate.",
        ),
      );
    }
    if (!chosen && this.stop === "Update") return this.showUpdate();
    if (!chosen) return about.replaceChildren();
    if (!Array.isArray(chosen)) return this.showWeight();
    const [layer, place] = chosen;
    if (layer > 0) {
      return explainPlace(about, network, layer, place, (weight) => this.choose(weight));
    }
    about.replaceChildren(
      make("p", {}, "An input is given: it is no sum, and the step does not change it."),
    );
  }

  showWeight() {
    const { network, chosen, isDragging } = this;
    const weight = findWeight(network, chosen.layer, chosen.from, chosen.to);
    if (!isDragging) this.reach = findReach(network, weight);
    explainWeight(this.about, network, weight, this.reach);
  }

  showUpdate() {
    const { network } = this;
    const rate = formatShort(network.rate);
    const rows = this.steps.map(({ layer, from, to, weight, slope }) => {
      const names = `${network.nameOf(layer - 1, from)} to ${network.nameOf(layer, to)}`;
      const text = `${formatFixed(network, weight)} - ${rate} × ${bracket(formatFixed(network, slope))}`;
      const head = makeButton(names, () => this.choose({ layer, from, to }));
      const value = formatFixed(network, weight - network.rate * slope);
      return makeRow("term", head, text, value);
    });
    const caption = "Each weight minus the learning rate times its slope";
    this.about.replaceChildren(makeTable(caption, rows));
  }
}

// Draws a network in `root`, from the state of pipeline/lessons/diagram.py.
export const draw = (root, state) => new Diagram(root, state);

// The entry point of JupyterLab's widget.
export function render({ model, el }) {
  el.classList.add("live-panel");
  keepKeys(el);
  draw(el, model.get("state"));
}
