// Draws a small network from its state, and makes it live. See pipeline/lessons/diagram.py.
import { explainWeight, findFrame, locate, roll, widenFrame } from "./curve.js";
import { formatShort, keepKeys, make, makeButton } from "./dom.js";
import { explainPlace } from "./explain.js";
import {
  describe,
  drawLine,
  findFlows,
  findNumber,
  findNumberFault,
  findRateFault,
  format,
  isDiverged,
  listPlaces,
  listWeights,
  makeUpdates,
  placeNumbers,
  readState,
  signOf,
} from "./small.js";
import { findError, findWeight, measure } from "./sums.js";
import { reveal } from "./view.js";

const STOPS = ["Forward", "Error", "Back", "Update"];
const MANY = 24; // weights, of which only those of the chosen place have their number beside them
const ROW = 7; // the height of a row of the picture, in rem

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
    this.leaveCurve();
    this.text =
      "Press a number to see what it is made of. Or make one step: forward, error, back, update.";
  }

  // Begins with a new curve: it has a frame of its own, and no steps yet.
  leaveCurve() {
    this.frame = null;
    this.trail = []; // where the weight was before each update, and its loss
    this.start = null; // from where the dot has to roll
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
    this.rate = this.makeField(formatShort(this.network.rate), findRateFault, (value) => {
      this.network.rate = value;
    });
    this.stops = STOPS.map((name) =>
      makeButton(name, () => this.goTo(name), { class: "action", "aria-pressed": false }),
    );
    const again = makeButton("Start again", () => this.restart(), { class: "action" });
    this.says = make("p", { class: "says", role: "status" });
    this.flow = make("span");
    this.number = make("label", { class: "number" }, make("span"));
    this.field = this.makeField(0, findNumberFault, (value) => this.setNumber(value));
    this.number.append(this.field);
    this.about = make("div", { class: "about" });
    const close = makeButton("Close", () => this.close(), { class: "action close" });
    this.panel = make("div", { class: "panel" }, close, this.number, this.about);
    this.listenToDrags();
    this.root.addEventListener("keydown", ({ key }) => key === "Escape" && this.close());
    this.root.classList.add("network-diagram", "network-view");
    this.root.replaceChildren(
      make("p", {}, ...this.stops, again, make("label", {}, "learning rate ", this.rate)),
      this.says,
      this.buildPicture(),
      this.buildLegend(),
      this.panel,
    );
  }

  // findFault: says why a number is refused, or nothing.
  makeField(value, findFault, change) {
    const field = make("input", { type: "number", step: "any", value, autocomplete: "off" });
    field.addEventListener("input", () => {
      const fault = findFault(field.valueAsNumber);
      field.setCustomValidity(fault);
      if (fault) {
        this.says.textContent = fault;
        return;
      }
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
    this.leaveCurve();
    this.show();
    this.keepInView();
  }

  get pressed() {
    return this.root.querySelector(".picture [aria-pressed=true]");
  }

  keepInView() {
    if (this.pressed) reveal(this.panel, this.pressed);
  }

  close() {
    const { pressed } = this;
    this.chosen = null;
    this.show();
    pressed?.focus({ preventScroll: true });
  }

  get hasWeight() {
    return this.chosen !== null && !Array.isArray(this.chosen);
  }

  // Begins with the first weights again. It keeps the learning rate, unless it was too large.
  restart() {
    const { network } = this;
    this.begin();
    if (!isDiverged(network)) this.network.rate = network.rate;
    this.rate.value = formatShort(this.network.rate);
    this.rate.setCustomValidity("");
    this.show();
  }

  // Computes all numbers again after one has changed.
  renew() {
    this.network = measure(this.network);
    if (this.stop === "Update") this.stop = "";
    if (this.isDragging) this.trail = [];
    else this.leaveCurve();
    this.text = `Now the error is ${format(findError(this.network))}.`;
    this.show();
  }

  setNumber(value) {
    const { list, at } = findNumber(this.network, this.chosen);
    list[at] = value;
  }

  goTo(stop) {
    if (stop === "Update" && !this.rate.reportValidity()) {
      this.says.textContent = this.rate.validationMessage;
      return;
    }
    this.stop = stop;
    if (stop === "Update") this.update();
    else this.text = describe(this.network, stop);
    if (stop !== "Update") this.showSum(stop);
    this.show();
    this.keepInView();
  }

  // Chooses what a stop is about: a score, or a unit, unless one is chosen. A weight stays chosen.
  showSum(stop) {
    if (this.hasWeight) return;
    const { weights } = this.network;
    const layer = stop === "Error" || weights.length === 1 ? weights.length : 1;
    const isSum = Array.isArray(this.chosen) && this.chosen[0] > 0;
    if (isSum && (stop === "Forward" || this.chosen[0] === layer)) return;
    this.chosen = [layer, 0];
  }

  // Makes the step, and lists what it has changed.
  update() {
    const { network } = this;
    const error = findError(network);
    if (this.hasWeight) this.keepDot(error / 2);
    else this.chosen = null;
    this.steps = listWeights(network).map((weight) =>
      findWeight(network, weight.layer, weight.from, weight.to),
    );
    for (const { layer, at, slope } of this.steps) {
      network.weights[layer - 1][at] -= network.rate * slope;
    }
    this.network = measure(network);
    const [before, after] = [error, findError(this.network)].map(format);
    this.text = `Update: each weight moves by the learning rate times its slope, against the slope, so one with the slope 0 stays. The error was ${before} and is ${after}.`;
  }

  // Keeps where the weight is, before it moves.
  keepDot(loss) {
    const { layer, from, to } = this.chosen;
    const { weight } = findWeight(this.network, layer, from, to);
    this.trail.push([weight, loss]);
    this.start = weight;
  }

  listenToDrags() {
    const move = ({ clientX }) => {
      const value = locate(this.frame, this.about.querySelector(".curve"), clientX);
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
        this.leaveCurve(); // so that the next steps have a frame that fits them
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
    const signal = hasSignal && format(network.signals[layer][place]);
    const isInactive = layer > 0 && layer < last && !(network.sums[layer][place] > 0);
    button.textContent = format(value);
    button.classList.toggle("inactive", isInactive);
    button.setAttribute("aria-pressed", chosen?.[0] === layer && chosen[1] === place);
    const state = isInactive ? ", inactive" : "";
    const back = hasSignal ? `, error signal ${signal}` : "";
    const name = network.nameOf(layer, place);
    button.setAttribute("aria-label", `${name}: ${format(value)}${state}${back}`);
    under.textContent = hasSignal ? `error signal ${signal}` : isInactive ? "inactive" : "";
    if (target) target.textContent = `target ${format(network.targets[place])}`;
  }

  // Gives each line the colour and width of its weight, or of what flows through it.
  showWeights() {
    const { network, stop, chosen } = this;
    const found = this.weights.map(({ layer, from, to }) => findWeight(network, layer, from, to));
    const flows = findFlows(network, stop, found);
    const most = Math.max(...flows.map(Math.abs)) || 1;
    const flow = { Forward: "what flows, a value times its weight", Back: "what flows back" };
    this.flow.textContent = ` A line is ${flow[stop] ?? "a weight"}.`;
    this.lines.setAttribute("class", `lines ${stop.toLowerCase()}`);
    this.weights.forEach(({ layer, from, to, button }, k) => {
      const shape = this.lines.children[k];
      const isOfPlace =
        (chosen?.[0] === layer && chosen[1] === to) ||
        (chosen?.[0] === layer - 1 && chosen[1] === from);
      const text = format(found[k].weight);
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
    const number = this.chosen && findNumber(this.network, this.chosen);
    this.number.hidden = !number;
    if (!number) return;
    this.number.firstChild.textContent = `Change ${number.name}: `;
    if (this.field !== document.activeElement)
      this.field.value = formatShort(number.list[number.at]);
  }

  showAbout() {
    const { network, chosen, about } = this;
    this.panel.classList.toggle("drawer", chosen !== null);
    if (isDiverged(network)) {
      const text = "The error is too large. Start again, with a smaller learning rate.";
      return about.replaceChildren(make("p", {}, text));
    }
    if (!chosen && this.stop === "Update") {
      const table = makeUpdates(network, this.steps, (weight) => this.choose(weight));
      return about.replaceChildren(table);
    }
    if (!chosen) return about.replaceChildren();
    if (this.hasWeight) return this.showWeight();
    const [layer, place] = chosen;
    if (layer > 0) {
      return explainPlace(about, network, layer, place, (weight) => this.choose(weight));
    }
    about.replaceChildren(
      make("p", {}, "An input is given: it is no sum, and the step does not change it."),
    );
  }

  showWeight() {
    const { network, chosen } = this;
    const weight = findWeight(network, chosen.layer, chosen.from, chosen.to);
    this.frame = this.frame
      ? widenFrame(network, weight, this.frame)
      : { ...findFrame(network, weight), least: 0 };
    explainWeight(this.about, network, weight, this.frame, this.trail);
    if (this.start !== null) roll(this.about, network, weight, this.frame, this.start);
    this.start = null;
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
