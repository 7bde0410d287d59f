// Trains a fresh network from the run's seed, one image a press, and shows the network while it
// does. Any number that is pressed is shown as a sum.
import {
  diverging,
  findLimit,
  formatNumber,
  grey,
  maxAbs,
  nameOf,
  paint,
  unpackBytes,
} from "./draw.js";
import { explainPlace, explainWeight, makeShape } from "./explain.js";
import { argmax, DIGITS, forward, PIXELS, Training } from "./network.js";
import {
  findError,
  findLargest,
  findProducts,
  findProductsBack,
  findReach,
  measure,
} from "./sums.js";

const LINES = 24;
const FASTEST = 12_000; // milliseconds of an epoch at the end of "slow, then faster"

// The section in `root`, with the training that it shows.
class Steps {
  constructor(root, run) {
    this.root = root;
    this.run = run;
    this.training = null;
    this.frame = 0; // the id of the requested animation frame while it plays, or 0
    this.chosen = null; // a place [layer, place], or a weight
    this.stop = "forward";
    this.after = new Float64Array(DIGITS); // the scores after the update
  }

  part(name) {
    return this.root.querySelector(`.${name}`);
  }

  isAsRun() {
    return ["dropout", "slip"].every((name) => {
      const { checked, defaultChecked } = this.part(name);
      return checked === defaultChecked;
    });
  }

  // Begins again from the seed, with the parameters as the switches have them, and goes on to the
  // image `count`.
  async begin(count = 0) {
    this.pause();
    const { images, labels, parameters } = this.run;
    const arrays = await Promise.all([images, labels].map(unpackBytes));
    this.training = new Training(...arrays, {
      ...parameters,
      dropout_rate: this.part("dropout").checked ? parameters.dropout_rate || 0.5 : 0,
      relu_grad_inactive: Number(this.part("slip").checked),
    });
    const { first, second } = this.training.weights;
    this.before = [first.slice(), second.slice()]; // the weights before the update
    this.count = 0; // of images so far
    this.recent = []; // whether each of the last 100 answers was correct
    this.part("first-epoch").textContent = "";
    this.part("setting").textContent = this.isAsRun()
      ? "Both are as in this run."
      : "This is not the run's setting. The training began again from the seed with yours.";
    while (this.count < count) this.step();
    this.part("shown-step").hidden = !count;
    if (count) this.show();
  }

  step() {
    const { training, before, recent } = this;
    const { weights, labels, scores } = training;
    before[0].set(weights.first);
    before[1].set(weights.second);
    training.next();
    this.count++;
    recent.push(argmax(scores) === labels[training.place - 1]);
    if (recent.length > 100) recent.shift();
    if (this.count === labels.length) this.endEpoch(training.error / this.count);
  }

  endEpoch(error) {
    this.pause();
    const { errors, curves } = this.run;
    const accuracy = this.training.correct / this.count;
    const isEqual = error === errors[0] && accuracy === curves.masked[0];
    const numbers = `error ${error.toFixed(4)}, accuracy ${accuracy.toFixed(3)}`;
    this.part("first-epoch").textContent = this.isAsRun()
      ? `First epoch: ${numbers}; ${isEqual ? "equal" : "not equal"} to the first entry of the run's history.`
      : `With your setting the first epoch has ${numbers}.`;
  }

  // What the step was made of, with the weights before the update.
  measure() {
    const { image, scaled, mask, place, labels, parameters, rate } = this.training;
    const label = labels[place - 1];
    const targets = Array.from({ length: DIGITS }, (_, digit) => Number(digit === label));
    return measure({
      sizes: [PIXELS, mask.length, DIGITS],
      weights: this.before,
      inputs: Array.from(image, (pixel) => scaled[pixel]),
      targets,
      mask,
      hasMask: parameters.dropout_rate > 0,
      inactive: parameters.relu_grad_inactive,
      rate,
      label,
      digits: 3,
      most: 5,
      nameOf: (layer, at) => this.nameOf(layer, at),
    });
  }

  nameOf(layer, place) {
    if (layer === 0) return `pixel row ${Math.floor(place / 28)}, column ${place % 28}`;
    if (layer === 1) return `hidden unit ${place}`;
    return `score of ${nameOf(this.run.parameters.classes, place)}`;
  }

  show() {
    const { image, scaled, weights, mask } = this.training;
    forward(image, scaled, weights, mask, new Float64Array(mask.length), this.after);
    this.network = this.measure();
    this.part("shown-step").hidden = false;
    this.showPlace();
    paint(this.part("image"), [...image].map(grey));
    this.showUnits();
    [...this.part("rows").children].forEach((button, digit) => {
      this.showScore(button, digit);
    });
    this.drawLines();
    const { network, chosen } = this;
    const about = this.part("about");
    const press = (weight) => {
      this.choose(weight);
      about.focus();
    };
    if (chosen?.layer) explainWeight(about, network, chosen, findReach(network, chosen));
    else explainPlace(about, network, ...(chosen ?? [2, network.label]), press);
  }

  showPlace() {
    const { training, network, after, recent } = this;
    const { place, epoch, labels } = training;
    const [name, before, answer] = [network.label, argmax(network.values[2]), argmax(after)].map(
      (output) => nameOf(this.run.parameters.classes, output),
    );
    const when = epoch > 1 ? `, epoch ${epoch}` : "";
    this.part("place").textContent =
      `Image ${place.toLocaleString("en")} of ${labels.length.toLocaleString("en")}${when}, labelled ${name}`;
    const correct = recent.filter(Boolean).length;
    this.part("recent").textContent = `correct: ${correct} of the last ${recent.length}`;
    const error = after.reduce((sum, score, d) => sum + (score - network.targets[d]) ** 2, 0);
    this.part("errors").textContent =
      `Error before the update ${formatNumber(findError(network))}, after it ${formatNumber(error)}. ` +
      `Answer before ${before}, after ${answer}.`;
  }

  // Shows each unit by a picture, of its weights or of their gradients, and by a number.
  showUnits() {
    const { stop, network } = this;
    const { values, sums, signals, mask, weights, inputs } = network;
    const isBack = stop === "back" || stop === "update";
    const numbers = (isBack ? signals : values)[1];
    const noun = isBack ? "error signal" : "activation";
    const most = maxAbs(numbers) || 1;
    const colour = diverging(stop === "update" ? maxAbs(signals[1]) : findLimit(weights[0]));
    [...this.part("row").children].forEach((button, unit) => {
      const value = formatNumber(numbers[unit]);
      const state = mask[unit] === 0 ? "dropped" : sums[1][unit] > 0 ? "active" : "inactive";
      const numberOf = (input, pixel) =>
        stop === "update" ? input * signals[1][unit] : weights[0][pixel * mask.length + unit];
      const text = state === "dropped" ? state : `${state}, ${noun} ${value}`;
      const [picture, number] = button.children;
      paint(picture, inputs.map(numberOf).map(colour));
      number.textContent = state === "dropped" ? "–" : value;
      button.className = state;
      button.style.setProperty("--part", Math.abs(numbers[unit]) / most);
      this.markButton(button, 1, unit, `Hidden unit ${unit}: ${text}`);
    });
  }

  markButton(button, layer, place, label) {
    const { chosen } = this;
    button.setAttribute("aria-pressed", chosen?.[0] === layer && chosen[1] === place);
    button.setAttribute("aria-label", label);
  }

  showScore(button, digit) {
    const { values, targets, signals, label } = this.network;
    const target = String(targets[digit]);
    const numbers = [values[2], signals[2], this.after].map((list) => formatNumber(list[digit]));
    const [score, signal, after] = numbers;
    [...button.children].slice(1).forEach((cell, k) => {
      cell.textContent = [score, target, signal, after][k];
    });
    button.classList.toggle("label", digit === label);
    const text = `${score}, target ${target}, error signal ${signal}, after the update ${after}`;
    this.markButton(button, 2, digit, `${this.nameOf(2, digit)}: ${text}`);
  }

  // The products that matter most at this stop: of what is chosen, or of all scores.
  findLines() {
    const { network, stop, chosen } = this;
    const findFlow = {
      forward: ({ input, weight }) => input * weight,
      error: () => 0,
      back: ({ signal, weight }) => signal * weight,
      update: ({ slope }) => slope,
    }[stop];
    const choose = (terms) =>
      findLargest(
        terms.map((term) => ({ ...term, product: findFlow(term) })),
        LINES,
      ).filter(({ product }) => product);
    if (chosen?.layer) return choose([chosen]);
    const [layer, place] = chosen ?? [0];
    if (layer === 2) return choose(findProducts(network, 2, place));
    if (layer === 1) {
      return [findProducts, findProductsBack].flatMap((find) => choose(find(network, 1, place)));
    }
    return choose(network.targets.flatMap((_, digit) => findProducts(network, 2, digit)));
  }

  // The place of a pixel, a unit or a score, in percent of the picture. side: 0 left, 1 right.
  locate(layer, place, side) {
    const box = this.part("network").getBoundingClientRect();
    const element = [this.part("image"), this.part("row"), this.part("rows")][layer];
    const { left, top, width, height } = (
      layer ? element.children[place] : element
    ).getBoundingClientRect();
    const across = layer ? side : ((place % 28) + 0.5) / 28;
    const down = layer ? 0.5 : (Math.floor(place / 28) + 0.5) / 28;
    return [
      (100 * (left + across * width - box.left)) / box.width,
      (100 * (top + down * height - box.top)) / box.height,
    ];
  }

  drawLines() {
    if (!this.network || this.part("network").offsetWidth === 0) return;
    const found = this.findLines();
    const most = maxAbs(found.map(({ product }) => product));
    const lines = found.map(({ layer, from, to, product }) => {
      const [x1, y1] = this.locate(layer - 1, from, 1);
      const [x2, y2] = this.locate(layer, to, 0);
      const about = { x1, y1, x2, y2, "vector-effect": "non-scaling-stroke" };
      const width = 0.5 + (4.5 * Math.abs(product)) / most;
      const name = product > 0 ? "above" : "below";
      return makeShape("line", { ...about, class: name, "stroke-width": width });
    });
    this.part("lines").replaceChildren(...lines);
  }

  choose(chosen) {
    this.chosen = chosen;
    this.show();
  }

  setPlaying(isPlaying) {
    this.part("play").setAttribute("aria-disabled", isPlaying);
    this.part("pause").setAttribute("aria-disabled", !isPlaying);
  }

  pause() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.setPlaying(false);
  }

  // Makes the steps that are due, if any.
  play(now) {
    this.frame = requestAnimationFrame((next) => this.play(next));
    const speed = this.part("speed").value;
    const isGrowing = speed === "faster";
    const shortest = isGrowing ? FASTEST / this.training.labels.length : Number(speed);
    this.due = Math.min(Math.max(this.due, now - 500), now + 2000); // a busy page catches up little
    if (this.due > now) return;
    while (this.due <= now && this.frame) {
      this.step();
      this.interval = isGrowing ? Math.max(0.7 * this.interval, shortest) : shortest;
      this.due += this.interval;
    }
    this.show();
  }

  listen() {
    const on = (name, act) => this.part(name).addEventListener("click", act);
    on("next", async () => {
      if (!this.training) await this.begin();
      this.pause();
      this.step();
      this.show();
    });
    on("play", async () => {
      if (this.frame) return;
      if (!this.training) await this.begin();
      this.setPlaying(true);
      this.interval = 2000;
      this.due = 0;
      this.play(performance.now());
    });
    on("pause", () => this.pause());
    on("start", () => this.begin());
    on("row", ({ target }) => this.press(target, 1));
    on("rows", ({ target }) => this.press(target, 2));
    on("stops", ({ target }) => {
      if (target.value) this.goTo(target.value);
    });
    for (const name of ["dropout", "slip"]) {
      this.part(name).addEventListener("change", () => this.begin(this.count));
    }
    this.part("speed").addEventListener("change", () => {
      this.due = 0;
    });
    new ResizeObserver(() => this.drawLines()).observe(this.part("network"));
  }

  press(target, layer) {
    const button = target.closest("button");
    if (button) this.choose([layer, Number(button.value)]);
  }

  goTo(stop) {
    this.stop = stop;
    this.root.dataset.stop = stop; // the style shows its sentence
    for (const button of this.part("stops").children) {
      button.setAttribute("aria-pressed", button.value === stop);
    }
    this.show();
  }
}

// Sets up the section in `root`, which has step.html.j2. Returns what stops it.
export function setUpSteps(root, run) {
  const steps = new Steps(root, run);
  steps.listen();
  return () => steps.pause();
}
