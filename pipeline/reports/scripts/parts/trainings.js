// Trains in a worker. A training run may have any parameters. That of a dot has the parameters of
// the page's run, except for the slip and the seed.

import { unpackBytes } from "../compute/reading.js";
import { measureEnds, measureEpochs, startGenerator } from "../compute/worker.js";
import { Section } from "../show/dom.js";

// A part of a page with buttons that start and stop training. trainings: a `Trainings`. stop: a
// function that stops training, or null while nothing trains. Buttons that do nothing at the moment
// are marked by aria-disabled instead of disabled, because a disabled button loses the focus.
export class TrainingSection extends Section {
  constructor(root, trainings) {
    super(root);
    this.trainings = trainings;
    this.stop = null;
    for (const each of root.querySelectorAll(".stop")) {
      each.addEventListener("click", () => this.stop?.());
    }
  }

  get isBusy() {
    return this.stop !== null;
  }

  // Trains once. show: called with the result of each epoch. end: called with the reason, in words,
  // if training ends early.
  start(parameters, show, end) {
    const progress = this.part("progress");
    progress.max = parameters.epochs;
    const tell = (result) => {
      progress.value = result.epoch;
      show(result);
    };
    const fail = (error) => end(`This browser could not train: ${error}`);
    const stop = this.trainings.train(parameters, tell, fail);
    this.setStop(() => {
      stop();
      end("Stopped.");
    });
  }

  // Takes the function that stops a training that has begun, or null when training has ended.
  setStop(stop) {
    this.stop = stop;
    for (const each of this.root.querySelectorAll(".train, .more")) {
      each.setAttribute("aria-disabled", this.isBusy);
    }
    for (const each of this.root.querySelectorAll(".stop")) {
      each.setAttribute("aria-disabled", !this.isBusy);
    }
  }
}

const MOST_WORKERS = 4;

export class Trainings {
  // run: the data for training, as live.py collects it, perhaps with validation images. source: the
  // text of network.js. milestones: the epochs after which weights are reported in any case.
  constructor(run, source, milestones = []) {
    this.run = run;
    this.source = source;
    this.milestones = milestones;
    this.unpacked = null; // what `unpack` returns, after its first call
  }

  // Returns the parameters of the training run of a dot.
  find({ kind, seed }) {
    return { ...this.run.parameters, relu_grad_inactive: kind === "with" ? 1 : 0, seed };
  }

  // Returns a promise of the training images with their labels, and the validation images with
  // theirs. A run without validation images gets empty arrays.
  unpack() {
    const unpack = (text) => (text ? unpackBytes(text) : new Uint8Array());
    const unpackAll = (texts) => Promise.all(texts.map(unpack));
    const { images, labels, validation_images, validation_labels } = this.run;
    const texts = [
      [images, labels],
      [validation_images, validation_labels],
    ];
    this.unpacked ??= Promise.all(texts.map(unpackAll));
    return this.unpacked;
  }

  // Starts a generator of worker.js when the images are unpacked. data: its arguments besides the
  // images and labels. Returns a function that stops it. From then on nothing is reported, even if
  // the worker has already sent it.
  #start(generator, data, onResult, onError) {
    let stopWorker = null; // until the worker has begun
    let isStopped = false;
    const unlessStopped = (report) => (value) => {
      if (!isStopped) report(value);
    };
    const [tell, fail] = [onResult, onError].map(unlessStopped);
    const begin = unlessStopped((arrays) => {
      stopWorker = startGenerator(generator, this.source, [...arrays, ...data], tell, fail);
    });
    this.unpack().then(begin).catch(fail);
    return () => {
      isStopped = true;
      stopWorker?.();
    };
  }

  // Trains once, and reports each epoch. Returns a function that stops training.
  train(parameters, onEpoch, onError) {
    const data = [parameters, this.milestones];
    return this.#start(measureEpochs, data, onEpoch, onError);
  }

  // Trains once for each dot, in several workers at the same time, and reports each dot with its
  // accuracy. The dots of a seed are trained by the same worker. If one worker fails, all are
  // stopped. Returns a function that stops training.
  measure(dots, onDot, onError) {
    const seeds = [...new Set(dots.map(({ seed }) => seed))];
    const count = Math.min(MOST_WORKERS, navigator.hardwareConcurrency ?? 1, seeds.length);
    const fail = (error) => {
      stop();
      onError(error);
    };
    const stops = Array.from({ length: count }, (_, i) => {
      const own = dots.filter(({ seed }) => seeds.indexOf(seed) % count === i);
      const tasks = own.map((dot) => ({ dot, parameters: this.find(dot) }));
      return this.#start(measureEnds, [tasks], onDot, fail);
    });
    const stop = () => {
      for (const each of stops) each();
    };
    return stop;
  }
}
