// Trains a fresh network from the run's seed, one image a press, and shows what it computes.

import { argmax, DIGITS, PIXELS, Training } from "../compute/network.js";
import { SIDE, unpackBytes } from "../compute/reading.js";
import { make, Section } from "../show/dom.js";
import { nameOf } from "../show/paint.js";
import { Tiles } from "../show/tiles.js";
import { NetworkView } from "./network_view.js";

const FASTEST = 12_000; // milliseconds an epoch would take at full speed

class Steps extends Section {
  constructor(root, run) {
    super(root);
    this.run = run;
    this.training = null;
    this.frame = 0; // the requested one, while it plays
    this.place = make("p", { class: "where" });
    const onShow = (view) => this.showPlace(view);
    this.view = new NetworkView(this.part("real"), new Tiles(this.place), { onShow });
  }

  isAsRun() {
    const { dropout_rate, relu_grad_inactive } = this.run.parameters;
    const isDropoutAsRun = this.part("dropout").checked === dropout_rate > 0;
    return isDropoutAsRun && this.part("slip").checked === Boolean(relu_grad_inactive);
  }

  // Begins again from the seed, as the switches are set, and goes on to the image `count`.
  async begin(count = 1) {
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
    while (this.count < count) this.step();
    this.show();
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

  // The network before its update by the present image, as sums.js has it.
  read() {
    const { image, scaled, mask, place, labels, parameters, rate } = this.training;
    const { classes, dropout_rate, relu_grad_inactive } = parameters;
    const label = labels[place - 1];
    return {
      sizes: [PIXELS, mask.length, DIGITS],
      weights: this.before.map((matrix) => matrix.slice()),
      inputs: Array.from(image, (pixel) => scaled[pixel]),
      pixels: image.slice(),
      targets: Array.from({ length: DIGITS }, (_, digit) => Number(digit === label)),
      mask: mask.slice(),
      hasMask: dropout_rate > 0,
      inactive: relu_grad_inactive,
      rate,
      classes,
      digits: 3,
      most: 5,
      nameOf: (layer, at) => {
        if (layer === 0) return `pixel row ${Math.floor(at / SIDE)}, column ${at % SIDE}`;
        return layer === 1 ? `hidden unit ${at}` : `score of ${nameOf(classes, at)}`;
      },
    };
  }

  show() {
    const network = this.read();
    if (this.view.network) return this.view.load(network);
    this.part("real").hidden = false;
    this.view.phase = "forward";
    this.view.build(network);
  }

  showPlace({ network, before }) {
    const { training, recent } = this;
    const { place, epoch, labels } = training;
    const { classes } = this.run.parameters;
    const answers = [before, network].filter(Boolean).map(({ values }) => argmax(values[2]));
    const [answer, after] = answers.map((output) => nameOf(classes, output));
    const label = nameOf(classes, labels[place - 1]);
    const count = labels.length.toLocaleString("en");
    const when = epoch > 1 ? `, epoch ${epoch}` : "";
    const texts = [
      `Image ${place.toLocaleString("en")} of ${count}${when}, labelled ${label}.`,
      `Read as ${answer}${after ? `, after the step as ${after}` : ""}.`,
      `Correct: ${recent.filter(Boolean).length} of the last ${recent.length}.`,
    ];
    this.place.replaceChildren(
      make("strong", { class: "which" }, texts[0]),
      ` ${texts[1]} ${texts[2]}`,
    );
  }

  pause() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.write("play", "Play");
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
      if (!this.training) return this.begin();
      this.pause();
      this.step();
      this.show();
    });
    on("play", async () => {
      if (this.frame) return this.pause();
      if (!this.training) await this.begin();
      this.write("play", "Pause");
      this.interval = 2000;
      this.due = performance.now();
      this.play(this.due);
    });
    on("start", () => this.begin());
    for (const name of ["dropout", "slip"]) {
      this.part(name).addEventListener("change", () => this.begin(this.count));
    }
    this.part("speed").addEventListener("change", () => {
      this.due = 0;
    });
  }
}

// Sets up a section that has step.html.j2. Returns what stops it.
export function setUpSteps(root, run) {
  const steps = new Steps(root, run);
  steps.listen();
  return () => steps.pause();
}
