// Trains in a worker. A training run may have any parameters. That of a dot has the parameters of
// the page's run, except for the slip and the seed.

import { unpackBytes } from "../compute/reading.js";
import { startSeries, startWorker } from "../compute/worker.js";
import { Section } from "../show/dom.js";

// A part of a page with buttons that start and stop training. halt: a function that stops training,
// or null while nothing trains. Buttons that do nothing at the moment are marked by aria-disabled
// instead of disabled, because a disabled button loses the focus.
export class TrainingSection extends Section {
  halt = null;

  // Trains once. show: called with the result of each epoch. end: called with the reason, in words,
  // if training ends early.
  start(trainings, parameters, show, end) {
    const progress = this.part("progress");
    progress.max = parameters.epochs;
    const tell = (result) => {
      progress.value = result.epoch;
      show(result);
    };
    const fail = (error) => end(`This browser could not train: ${error}`);
    const stop = trainings.train(parameters, tell, fail);
    this.setBusy(() => {
      stop();
      end("Stopped.");
    });
  }

  setBusy(halt) {
    this.halt = halt;
    for (const each of this.root.querySelectorAll(".train, .again, .more")) {
      each.setAttribute("aria-disabled", halt !== null);
    }
    for (const each of this.root.querySelectorAll(".stop")) {
      each.setAttribute("aria-disabled", halt === null);
    }
  }
}

export class Trainings {
  // run: the data for training, as live.py collects it, perhaps with validation images. source: the
  // text of network.js. milestones: the epochs after which weights are reported in any case.
  constructor(run, source, milestones = []) {
    this.run = run;
    this.source = source;
    this.milestones = milestones;
    this.arrays = null; // images and labels, once unpacked
  }

  // Returns the parameters of the training run of a dot.
  find({ kind, seed }) {
    return { ...this.run.parameters, relu_grad_inactive: kind === "with" ? 1 : 0, seed };
  }

  async unpack() {
    const { images, labels, validation_images, validation_labels } = this.run;
    const packed = [images, labels, validation_images, validation_labels];
    const unpack = (text) => (text ? unpackBytes(text) : new Uint8Array());
    this.arrays ??= await Promise.all(packed.map(unpack));
    return [this.arrays.slice(0, 2), this.arrays.slice(2)];
  }

  // Starts a function of worker.js when the images are unpacked. Returns a function that stops it.
  // From then on no result is reported, even if the worker has already sent one.
  #start(work, data, onResult, onError) {
    let stop = () => {};
    let isStopped = false;
    const tell = (result) => {
      if (!isStopped) onResult(result);
    };
    const begin = (arrays) => {
      if (!isStopped) stop = work(this.source, [...arrays, ...data], tell, onError);
    };
    this.unpack().then(begin).catch(onError);
    return () => {
      isStopped = true;
      stop();
    };
  }

  // Trains once, and reports each epoch. Returns a function that stops training.
  train(parameters, onEpoch, onError) {
    return this.#start(startWorker, [parameters, this.milestones], onEpoch, onError);
  }

  // Trains several times, one after the other, and reports each dot with its accuracy. Returns a
  // function that stops training.
  measure(dots, onDot, onError) {
    const tell = ({ parameters: { relu_grad_inactive, seed }, accuracy }) =>
      onDot({ kind: relu_grad_inactive ? "with" : "without", seed, accuracy });
    const list = dots.map((dot) => this.find(dot));
    return this.#start(startSeries, [list], tell, onError);
  }
}
