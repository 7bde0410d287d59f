// Trains in a worker, so that the page stays responsive.
import { evaluate, Training } from "./network.js";

// Yields the initial weights, and then the metrics of each epoch. An epoch comes with its weights
// if it is the last one, if it is a milestone, or if none have been yielded for 50 milliseconds.
// others: the validation images and labels. The function runs in a worker that has network.js, too.
export function* measureEpochs([images, labels], others, parameters, milestones) {
  const { epochs, normalisation } = parameters;
  const training = new Training(images, labels, parameters);
  const { weights } = training; // which each step changes in place; a message copies them
  yield { epoch: 0, weights };
  let posted = Date.now(); // the time when weights were last yielded
  for (let epoch = 1; epoch <= epochs; epoch++) {
    for (let step = 0; step < labels.length; step++) training.next();
    const fitted = evaluate(images, labels, weights, normalisation).accuracy;
    const validation = evaluate(...others, weights, normalisation).accuracy;
    const isLast = epoch === epochs;
    const isShown = isLast || milestones.includes(epoch) || Date.now() - posted > 50;
    yield {
      epoch,
      masked: training.correct / labels.length, // the accuracy under dropout
      fitted,
      validation,
      weights: isShown ? weights : null,
      isLast,
    };
    if (isShown) posted = Date.now();
  }
}

// Trains once for each dot, and yields the dot with its accuracy on other images. tasks: the dots,
// each with the parameters of its training.
export function* measureEnds([images, labels], others, tasks) {
  for (const { dot, parameters } of tasks) {
    const training = new Training(images, labels, parameters);
    const steps = parameters.epochs * labels.length;
    for (let step = 0; step < steps; step++) training.next();
    const { accuracy } = evaluate(...others, training.weights, parameters.normalisation);
    yield { ...dot, accuracy };
  }
}

// Runs a generator in a worker, and calls onResult with each result. source: the text of
// network.js, which the worker runs first. data: the arguments of the generator. Returns a
// function that stops the worker.
export function startGenerator(generator, source, data, onResult, onError) {
  const imports = "const { evaluate, Training } = network_js;\n";
  const work = `onmessage = ({ data }) => {
    for (const each of ${generator.name}(...data)) postMessage(each);
    close();
  };`;
  const parts = [source, imports, generator, "\n", work];
  const address = URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
  const worker = new Worker(address);
  worker.onmessage = (message) => onResult(message.data);
  worker.onerror = ({ message }) => onError(message);
  worker.postMessage(data);
  return () => {
    worker.terminate();
    URL.revokeObjectURL(address);
  };
}
