// Trains a fresh network from the run's seed, one image a press, and shows what each update is made
// of.
import { formatNumber, grey, nameOf, paint, paintSigned, unpackBytes } from "./draw.js";
import { argmax, DIGITS, forward, Training } from "./network.js";

const SHORTEST = 1200; // frames of a whole epoch: some 20 seconds

const sumSquares = (values) => values.reduce((sum, value) => sum + value * value, 0);
const findLargest = (values) => argmax(values.map(Math.abs));

// The section in `root`, with the training that it shows.
class Steps {
  constructor(root, run) {
    this.root = root;
    this.run = run;
    this.training = null;
    this.frame = 0; // the id of the requested animation frame while it plays, or 0
    this.unit = null; // that is chosen
    this.after = new Float64Array(DIGITS); // the scores after the update
  }

  part(name) {
    return this.root.querySelector(`.${name}`);
  }

  async begin() {
    const [images, labels] = await Promise.all([this.run.images, this.run.labels].map(unpackBytes));
    this.training = new Training(images, labels, this.run.parameters);
    for (const name of ["first-epoch", "place", "errors"]) this.part(name).textContent = "";
    this.part("shown-step").hidden = true;
  }

  step() {
    this.training.next();
    const { place, labels, error, correct, epoch } = this.training;
    if (epoch > 1 || place < labels.length) return;
    const { errors, curves } = this.run;
    const mean = error / place;
    const accuracy = correct / place;
    const isEqual = mean === errors[0] && accuracy === curves.masked[0];
    this.part("first-epoch").textContent =
      `First epoch: error ${mean.toFixed(4)}, accuracy ${accuracy.toFixed(3)}; ` +
      `${isEqual ? "equal" : "not equal"} to the first entry of the run's history.`;
    this.stop();
  }

  show() {
    const { place, labels, image, scaled, weights, mask, hidden, signal } = this.training;
    const label = labels[place - 1];
    forward(image, scaled, weights, mask, new Float64Array(hidden.length), this.after);
    const unit = this.unit ?? findLargest(signal); // until one is chosen
    this.part("shown-step").hidden = false;
    this.showPlace(label);
    this.showErrors(label);
    paint(this.part("image"), [...image].map(grey));
    this.showUnits(unit);
    this.showScores(label);
    this.showGradients(unit);
  }

  showPlace(label) {
    const { place, epoch, labels } = this.training;
    const when = epoch > 1 ? `, epoch ${epoch}` : "";
    const name = nameOf(this.run.parameters.classes, label);
    this.part("place").textContent =
      `Image ${place.toLocaleString("en")} of ${labels.length.toLocaleString("en")}${when}, ` +
      `labelled ${name}`;
  }

  showErrors(label) {
    const { scores, delta } = this.training;
    const { classes } = this.run.parameters;
    const deltaAfter = Array.from(this.after, (score, d) => score - (d === label));
    const before = formatNumber(sumSquares(delta));
    const after = formatNumber(sumSquares(deltaAfter));
    const answerBefore = nameOf(classes, argmax(scores));
    const answerAfter = nameOf(classes, argmax(this.after));
    this.part("errors").textContent =
      `Error before the update ${before}, after it ${after}. ` +
      `Answer before ${answerBefore}, after ${answerAfter}.`;
  }

  showUnits(unit) {
    const { mask, hidden, signal } = this.training;
    const most = Math.max(...hidden, 1e-9);
    [...this.part("row").children].forEach((button, h) => {
      const isDropped = mask[h] === 0;
      const activation = formatNumber(hidden[h]);
      const state = isDropped
        ? "dropped"
        : `activation ${activation}, error signal ${formatNumber(signal[h])}`;
      button.style.setProperty("--part", hidden[h] / most);
      button.classList.toggle("dropped", isDropped);
      button.setAttribute("aria-pressed", h === unit);
      button.setAttribute("aria-label", `Hidden unit ${h}: ${state}`);
    });
    paintSigned(this.part("signals"), signal, hidden.length);
  }

  showScores(label) {
    const { scores, delta } = this.training;
    [...this.part("rows").children].forEach((row, d) => {
      const [, score, target, error, after] = row.cells;
      score.textContent = formatNumber(scores[d]);
      target.textContent = Number(d === label);
      error.textContent = formatNumber(delta[d]);
      after.textContent = formatNumber(this.after[d]);
    });
  }

  // Shows the gradients of the second matrix and of the weights to one hidden unit.
  showGradients(unit) {
    const { image, scaled, weights, hidden, delta, signal, rate } = this.training;
    const size = hidden.length;
    const second = Array.from(
      { length: DIGITS * size },
      (_, k) => hidden[k % size] * delta[Math.floor(k / size)],
    );
    paintSigned(this.part("second"), second, size);
    const first = Array.from(image, (pixel) => scaled[pixel] * signal[unit]);
    paintSigned(this.part("first"), first);
    const pixel = findLargest(first); // the one whose weight changes most
    const now = weights.first[pixel * size + unit];
    const before = now + rate * first[pixel];
    this.part("example").textContent =
      `For instance, the weight from the pixel in row ${Math.floor(pixel / 28)}, ` +
      `column ${pixel % 28} to hidden unit ${unit} was ${before.toFixed(4)} ` +
      `and is ${now.toFixed(4)}.`;
    this.part("of-unit").textContent =
      `hidden unit ${unit}: pixel times error signal ${formatNumber(signal[unit])}`;
  }

  setPlaying(isPlaying) {
    this.part("play").setAttribute("aria-disabled", isPlaying);
    this.part("pause").setAttribute("aria-disabled", !isPlaying);
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.setPlaying(false);
  }

  play() {
    this.frame = requestAnimationFrame(() => this.play());
    const count = Math.ceil(this.training.labels.length / SHORTEST);
    for (let k = 0; k < count && this.frame; k++) this.step();
    this.show();
  }

  listen() {
    const on = (name, act) => this.part(name).addEventListener("click", act);
    on("next", async () => {
      if (!this.training) await this.begin();
      this.stop();
      this.step();
      this.show();
    });
    on("play", async () => {
      if (this.frame) return;
      if (!this.training) await this.begin();
      this.setPlaying(true);
      this.play();
    });
    on("pause", () => this.stop());
    on("start", async () => {
      this.stop();
      await this.begin();
    });
    on("row", ({ target: { type, value } }) => {
      if (type !== "button") return;
      this.unit = Number(value);
      this.show();
    });
  }

  addUnits() {
    const size = this.run.parameters.hidden_size;
    for (let h = 0; h < size; h++) {
      const button = document.createElement("button");
      button.type = "button";
      button.value = h;
      this.part("row").append(button);
    }
    this.part("signals").width = size;
    this.part("second").width = size;
  }
}

// Sets up the section in `root`, which has step.html.j2. Returns what stops it.
export function setUpSteps(root, run) {
  const steps = new Steps(root, run);
  steps.addUnits();
  steps.listen();
  return () => steps.stop();
}
