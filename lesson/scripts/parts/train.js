// Trains the network of a lesson from any seed, with the slip or without it, and shows how the
// network reads the drawing while it trains. Each completed training run becomes a dot. One button
// trains ten more dots of each kind.

import { store, storeOfTab } from "../../../pipeline/reports/scripts/parts/store.js";
import { TrainingSection } from "../../../pipeline/reports/scripts/parts/trainings.js";
import { bring, count, formatPercent } from "../../../pipeline/reports/scripts/show/dom.js";
import { Plot } from "../../../pipeline/reports/scripts/show/plot.js";
import { describeGroups, drawGroups } from "../show/groups.js";
import { KINDS } from "./dots.js";
import { Strip } from "./strip.js";

const MORE = 10; // new dots of each kind

// Returns about how long the other dots will take, or "" while too few are done to tell. elapsed:
// milliseconds.
function describeTimeLeft(elapsed, done, total) {
  if (done <= 2) return "";
  const seconds = (elapsed / 1000 / done) * (total - done);
  return `, about ${count(Math.ceil(seconds), "second")} left`;
}

class Training extends TrainingSection {
  constructor(root, trainings, dots, pad) {
    super(root, trainings);
    this.dots = dots;
    this.pad = pad;
    this.slip = this.part("slip");
    this.seed = this.part("seed");
    this.seed.value = storeOfTab.read("seed") ?? this.seed.value;
    this.plot = new Plot(this.part("accuracy"));
  }

  get dot() {
    return { kind: this.slip.checked ? "with" : "without", seed: this.seed.valueAsNumber };
  }

  train() {
    if (this.isBusy || !this.seed.reportValidity()) return;
    new Attempt(this, this.dot).begin();
  }

  // Trains the next seeds after the one in the field, except for those that have dots already.
  trainMore() {
    if (this.isBusy || !this.seed.reportValidity()) return;
    const { seed } = this.dot;
    const missing = this.dots.listMissing(seed, MORE);
    const total = missing.length;
    if (total === 0) {
      this.say(`All dots of the ${MORE} seeds after ${seed} are there.`);
      return;
    }
    this.say(`0 of ${total} trained.`);
    const begun = performance.now();
    let done = 0;
    const keep = (dot) => {
      this.dots.keep(dot);
      done++;
      if (done === total) {
        this.end("state", `${done} trained.`);
        return;
      }
      const time = describeTimeLeft(performance.now() - begun, done, total);
      this.write("state", `${done} of ${total} trained${time}.`);
    };
    const fail = (error) => this.end("state", `This browser could not train: ${error}`);
    const stop = this.trainings.measure(missing, keep, fail);
    this.setStop(() => {
      stop();
      this.end("state", `Stopped after ${done} of ${total}.`);
    });
  }

  // Says something about the dots, on the screen, with their picture.
  say(words) {
    this.write("state", words);
    bring(this.part("groups"), this.part("state"));
  }

  // Says at a place how training has ended.
  end(place, words) {
    this.setStop(null);
    this.write(place, words);
  }

  // Shows all dots, and the accuracies of those with the seed in the field.
  showDots() {
    const dots = this.dots.list();
    drawGroups(this.part("groups"), dots);
    this.write("dots .says", dots.length ? describeGroups(dots) : "");
    let measured = 0; // of the two kinds
    for (const kind of KINDS) {
      const accuracy = this.dots.read({ ...this.dot, kind });
      if (accuracy !== null) measured++;
      this.write(`${kind}-number`, accuracy === null ? "?" : formatPercent(accuracy));
    }
    if (measured > 0) this.part("compared").hidden = false;
    this.part("luck").hidden = measured < KINDS.length;
  }

  // Copies one line that holds all dots. If the browser does not allow this, the line is selected.
  // navigator.clipboard would not exist on a page that is served over plain http.
  copy() {
    const count = this.dots.list().length;
    if (count === 0) {
      this.say("There are no dots yet.");
      return;
    }
    const field = this.part("copied");
    field.hidden = false;
    field.value = this.dots.writeLine();
    field.select();
    const isCopied = document.execCommand("copy");
    this.say(isCopied ? `Dots copied: ${count}.` : "Copy what is selected.");
  }

  // Takes the seed and the switch from the page's address, such as #seed=300&slip=off. A link to a
  // stop has neither.
  takeFromAddress() {
    if (!location.hash.includes("=")) return;
    const link = new URLSearchParams(location.hash.slice(1));
    if (link.has("seed")) this.seed.value = link.get("seed");
    if (link.has("slip")) this.slip.checked = link.get("slip") !== "off";
    const comparison = this.slip.checked ? ">=" : ">"; // the slip, or the true slope of the ReLU
    const words = `Seed ${this.seed.value}, with ${comparison}: now press Train.`;
    this.write("from-link", this.seed.checkValidity() ? words : "This seed is not allowed.");
    this.write("outcome", ""); // which was about another seed
    this.part("from-link").scrollIntoView({ block: "center" });
    this.showDots();
  }

  // Forgets the address, because the reader has changed the seed or the switch.
  clearAddress() {
    history.replaceState(null, "", "#train");
    this.write("from-link", "");
    storeOfTab.keep("seed", this.seed.value);
    this.showDots();
  }

  listen() {
    this.on("train", "click", () => this.train());
    this.on("more", "click", () => this.trainMore());
    this.on("copy", "click", () => this.copy());
    for (const each of [this.slip, this.seed]) {
      each.addEventListener("input", () => this.clearAddress());
    }
    window.addEventListener("hashchange", () => this.takeFromAddress());
    store.addEventListener("change", () => this.showDots());
  }
}

// One training run, from the press of a button to its end.
class Attempt {
  constructor(panel, dot) {
    this.panel = panel;
    this.dot = dot;
    this.parameters = panel.trainings.find(dot);
    this.accuracies = [];
    this.strip = null; // unless there is nothing to read
  }

  // Starts the training. It calls `show` after each epoch, and `end` with words if it is stopped or
  // fails.
  begin() {
    const { panel, parameters } = this;
    const image = panel.pad.imageToRead;
    if (image) this.strip = new Strip(panel.root, image, parameters.classes);
    panel.plot.setCount(parameters.epochs);
    panel.write("from-link", "");
    panel.write("outcome", "Training.");
    panel.part("early").hidden = true;
    this.draw(); // an empty line, in place of an earlier one
    const show = (result) => this.show(result);
    const end = (words) => {
      panel.end("outcome", words);
      panel.part("early").hidden = false;
    };
    panel.start(parameters, show, end);
    panel.part("compared").hidden = false;
    bring(panel.part("accuracy"), panel.part("outcome"));
  }

  draw() {
    this.panel.plot.set(this.panel.part(`line-${this.dot.kind}`), this.accuracies);
  }

  show(result) {
    const { panel, parameters } = this;
    const { epoch, weights, isLast, validation } = result;
    if (weights) this.strip?.show(epoch, { ...parameters, weights }, isLast);
    if (epoch === 0) return; // nothing is measured yet
    this.accuracies.push(100 * validation);
    this.draw();
    panel.write("shown", `Epoch ${epoch}: ${formatPercent(validation)}.`);
    if (isLast) this.finish(weights, validation);
  }

  finish(weights, accuracy) {
    const { panel, dot, parameters } = this;
    panel.plot.drawAll();
    const isReadOtherwise = panel.pad.setNetwork({ ...parameters, weights });
    panel.dots.keep({ ...dot, accuracy });
    const words = ["Trained from a new start. The pad above now uses this network."];
    if (isReadOtherwise) {
      words.push("One drawing proves nothing: look at the thousand digits below.");
    }
    panel.end("outcome", words.join(" "));
    bring(panel.part("compared"), panel.part("outcome"));
  }
}

// Sets up the stop in `root`. pad: the pad, which has the image to read, and gets each network that
// has been trained.
export function setUpTraining(root, trainings, dots, pad) {
  const training = new Training(root, trainings, dots, pad);
  training.listen();
  training.takeFromAddress();
  training.showDots();
}
