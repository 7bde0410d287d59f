// Trains a fresh network from the run's seed, one image a press, and shows what it computes.
import { explainWeight } from "./curve.js";
import { formatNumber, Section } from "./dom.js";
import { diverging, findLimit, grey, maxAbs, nameOf, paint, unpackBytes } from "./draw.js";
import { explainPlace } from "./explain.js";
import { argmax, DIGITS, PIXELS, Training } from "./network.js";
import { findError, findLargest, findProducts, measure } from "./sums.js";
import { reveal } from "./view.js";

const LINES = 30;
const FASTEST = 12_000; // milliseconds an epoch would take at full speed

class Steps extends Section {
  constructor(root, run) {
    super(root);
    this.run = run;
    this.training = null;
    this.frame = 0; // the requested one, while it plays
    this.chosen = null; // a place, [layer, place]
    this.weight = null; // of its sum, if one is chosen
    this.pressed = null; // its button
    this.stop = "forward";
  }

  isAsRun() {
    const { dropout_rate, relu_grad_inactive } = this.run.parameters;
    const hasDropout = this.part("dropout").checked === dropout_rate > 0;
    return hasDropout && this.part("slip").checked === Boolean(relu_grad_inactive);
  }

  // Begins again from the seed, as the switches are set, and goes on to the image `count`.
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
    this.write("first-epoch", "");
    this.write(
      "setting",
      this.isAsRun()
        ? "Both are as in this run."
        : "The run was trained with other switches. This training began from the seed with these.",
    );
    this.part("shown-step").hidden = true;
    while (this.count < count) this.step();
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
    if (training.place === labels.length) this.pause();
    if (this.count === labels.length) this.showFirstEpoch(training.error / this.count);
  }

  showFirstEpoch(error) {
    const { errors, curves } = this.run;
    const accuracy = this.training.correct / this.count;
    const isEqual = error === errors[0] && accuracy === curves.masked[0];
    const numbers = `error ${error.toFixed(4)}, accuracy ${accuracy.toFixed(3)}`;
    this.write(
      "first-epoch",
      this.isAsRun()
        ? `First epoch: ${numbers}; ${isEqual ? "" : "not "}equal to the first entry of the run's history.`
        : `With your setting the first epoch has ${numbers}.`,
    );
  }

  // The numbers of the step, with the weights before it.
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
      nameOf: (layer, at) => {
        if (layer === 0) return `pixel row ${Math.floor(at / 28)}, column ${at % 28}`;
        return layer === 1 ? `hidden unit ${at}` : `score of ${nameOf(parameters.classes, at)}`;
      },
    });
  }

  show() {
    const { first, second } = this.training.weights;
    this.network = this.measure();
    this.after = measure({ ...this.network, weights: [first, second] });
    this.part("shown-step").hidden = false;
    this.showPlace();
    this.showUnits();
    this.showScores();
    this.drawLines();
    const { network, chosen } = this;
    for (const button of this.root.querySelectorAll("[aria-pressed]")) {
      button.setAttribute("aria-pressed", button === this.pressed || button.value === this.stop);
    }
    const about = this.part("about");
    this.part("panel").classList.toggle("drawer", this.pressed !== null);
    if (this.weight) explainWeight(about, network, this.weight);
    else {
      explainPlace(about, network, ...(chosen ?? [2, network.label]), (weight) => {
        this.weight = weight;
        this.show();
        about.focus();
      });
    }
  }

  showPlace() {
    const { training, network, after, recent } = this;
    const { place, epoch, labels } = training;
    const { classes } = this.run.parameters;
    const answers = [network, after].map(({ values }) => nameOf(classes, argmax(values[2])));
    const when = epoch > 1 ? `, epoch ${epoch}` : "";
    this.write(
      "place",
      `Image ${place.toLocaleString("en")} of ${labels.length.toLocaleString("en")}${when}, labelled ${nameOf(classes, network.label)}`,
    );
    this.write("recent", `correct: ${recent.filter(Boolean).length} of the last ${recent.length}`);
    const errors = [network, after].map(findError).map(formatNumber);
    this.write(
      "errors",
      `Error before the update ${errors.join(", after it ")}. ` +
        `Answer before ${answers.join(", after ")}.`,
    );
  }

  // Shows each unit as a picture, of its weights or their gradients, and a number.
  showUnits() {
    const { stop, network } = this;
    const { values, sums, signals, mask, weights, inputs } = network;
    const isBack = stop === "back" || stop === "update";
    const numbers = (isBack ? signals : values)[1];
    const noun = isBack ? "error signal" : "activation";
    const most = maxAbs(numbers) || 1;
    const colour = diverging(stop === "update" ? maxAbs(signals[1]) : findLimit(weights[0]));
    [...this.part("row").children].forEach((button, unit) => {
      const state = mask[unit] === 0 ? "dropped" : sums[1][unit] > 0 ? "active" : "inactive";
      const numberOf = (input, pixel) =>
        stop === "update" ? input * signals[1][unit] : weights[0][pixel * mask.length + unit];
      const [picture, name, number] = button.children;
      paint(picture, inputs.map(numberOf).map(colour));
      name.lastChild.textContent = state === "dropped" ? state : `${state}, ${noun}`;
      number.textContent = state === "dropped" ? "–" : formatNumber(numbers[unit]);
      button.className = state;
      button.style.setProperty("--part", Math.abs(numbers[unit]) / most);
    });
  }

  showScores() {
    const { values, targets, signals, label } = this.network;
    const answer = argmax(values[2]);
    [...this.part("rows").children].forEach((button, digit) => {
      const numbers = [values[2], signals[2], this.after.values[2]].map((list) => list[digit]);
      const [score, signal, after] = numbers.map(formatNumber);
      [score, targets[digit], signal, after].forEach((number, k) => {
        button.children[k + 1].lastChild.textContent = number;
      });
      button.classList.toggle("label", digit === label);
      button.classList.toggle("answer", digit === answer);
    });
  }

  // The weights that matter most at this stop: of what is chosen, or of all scores.
  findLines() {
    const { network, stop, chosen } = this;
    const [layer, place] = chosen ?? [];
    const weights = network.targets
      .flatMap((_, digit) => findProducts(network, 2, digit))
      .filter(({ from, to }) => !chosen || (layer === 1 ? from : to) === place);
    if (layer === 1) weights.push(...findProducts(network, 1, place));
    const findFlow = {
      forward: ({ input, weight }) => input * weight,
      error: () => 0,
      // None to the pixels, nor to units that let nothing through.
      back: ({ layer, from, signal, weight }) =>
        layer > 1 && network.signals[1][from] ? signal * weight : 0,
      update: ({ slope }) => slope,
    }[stop];
    const flows = weights.map((weight) => ({ ...weight, product: findFlow(weight) }));
    return findLargest(flows, LINES).filter(({ product }) => product);
  }

  // A place in percent of the picture. side: 0 left, 1 right. The image covers the lines of pixels.
  locate(layer, place, side) {
    const box = this.part("network").getBoundingClientRect();
    const list = this.part(layer === 1 ? "row" : "rows");
    const element = layer ? list.children[place] : this.part("image");
    const { left, top, width, height } = element.getBoundingClientRect();
    const across = layer ? side : ((place % 28) + 0.5) / 28;
    const down = layer ? 0.5 : (Math.floor(place / 28) + 0.5) / 28;
    return [
      (100 * (left + across * width - box.left)) / box.width,
      (100 * (top + down * height - box.top)) / box.height,
    ];
  }

  // Shows the image, and in colour the pixels where lines begin.
  showImage(lines) {
    const colours = [...this.training.image].map(grey);
    for (const { layer, from, product } of lines) {
      if (layer === 1) colours[from] = diverging(1)(product > 0 ? 1 : -1);
    }
    paint(this.part("image"), colours);
  }

  drawLines() {
    if (!this.network || this.part("network").offsetWidth === 0) return;
    const found = this.findLines();
    const most = maxAbs(found.map(({ product }) => product));
    this.showImage(found);
    const lines = found.map(({ layer, from, to, product }) => {
      const [x1, y1] = this.locate(layer - 1, from, 1);
      const [x2, y2] = this.locate(layer, to, 0);
      const width = 0.5 + (4.5 * Math.abs(product)) / most;
      const name = product > 0 ? "above" : "below";
      return `<line class="${name}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke-width="${width}"/>`;
    });
    this.part("lines").innerHTML = lines.join("");
  }

  // Lets go of what was pressed.
  close() {
    this.pressed?.focus({ preventScroll: true });
    this.pressed = null;
    this.chosen = null;
    this.weight = null;
    if (this.network) this.show();
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
    this.due = Math.max(this.due, now - 500); // catches up little
    if (this.due > now) return;
    while (this.due <= now && this.frame) {
      this.step();
      this.due += speed ? Number(speed) : this.interval;
      this.interval = Math.max(0.7 * this.interval, FASTEST / this.training.labels.length);
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
      this.due = performance.now();
      this.play(this.due);
    });
    on("pause", () => this.pause());
    on("start", () => this.begin(1)); // so that the part keeps its height
    on("network", ({ target }) => {
      const button = target.closest("button");
      if (!button) return;
      this.pressed = button;
      this.chosen = [button.parentNode === this.part("row") ? 1 : 2, Number(button.value)];
      this.weight = null;
      this.show();
      reveal(this.part("panel"), button);
    });
    on("close", () => this.close());
    this.root.addEventListener("keydown", ({ key }) => key === "Escape" && this.close());
    on("stops", ({ target: { value } }) => {
      if (!value) return;
      this.stop = value;
      this.root.dataset.stop = value; // the style shows what belongs to it
      if (value !== "update") this.weight = null; // its next step is an update
      this.show();
    });
    for (const name of ["dropout", "slip"]) {
      this.part(name).addEventListener("change", () => this.begin(this.count));
    }
    this.part("speed").addEventListener("change", () => {
      this.due = 0;
    });
    new ResizeObserver(() => this.drawLines()).observe(this.part("network"));
  }
}

// Sets up a section that has step.html.j2. Returns what stops it.
export function setUpSteps(root, run) {
  const steps = new Steps(root, run);
  steps.listen();
  return () => steps.pause();
}
