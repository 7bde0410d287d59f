// Trains the run's network again, in this page, with the functions of network.js, and compares what comes of it with
// what the run recorded: the error of every epoch, and the digest of the weights. Nothing runs before it is asked for.
const run = JSON.parse(document.getElementById("run").textContent);
const part = (id) => document.getElementById(id);
const fields = [...part("training").querySelectorAll("input")];
let stop = null;

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// What is shown of each epoch; it runs in a worker, which has network.js too, or in slices here.
function* epochs(images, labels, parameters) {
  for (const { epoch, error, accuracy, weights } of train(images, labels, parameters)) {
    const [fittedError, fitted] = evaluate(images, labels, weights, parameters.normalisation);
    const last = epoch === parameters.epochs || !Number.isFinite(fittedError);
    const digest = last ? digestOf(weights) : null;
    yield { epoch, error, accuracy, fitted, finite: Number.isFinite(fittedError), weights, digest };
    if (last) return;
  }
}

// Starts a training, and returns what stops it.
function start(images, labels, parameters, each) {
  const inSlices = () => {
    const steps = epochs(images, labels, parameters);
    let timer = null;
    const go = () => {
      const { value, done } = steps.next();
      if (done) return;
      timer = setTimeout(go);
      each(value);
    };
    timer = setTimeout(go);
    return () => clearTimeout(timer);
  };
  const work = "onmessage = ({ data }) => { for (const value of epochs(...data)) postMessage(value); };";
  try {
    const code = new Blob([part("network").textContent, epochs, "\n", work], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(code));
    let end = () => worker.terminate();
    worker.onmessage = ({ data }) => each(data);
    worker.onerror = () => { end = inSlices(); }; // where a page from a disk may have no worker
    worker.postMessage([images, labels, parameters]);
    return () => end();
  } catch {
    return inSlices();
  }
}

// A line of accuracies in the picture, which is 600 wide and 200 high; the run's own epochs fix its width.
function line(id, accuracies, count) {
  const points = accuracies.map((value, i) => `${(600 * (i + 1)) / count},${(200 * (1 - value)).toFixed(1)}`);
  part(id).setAttribute("points", points.join(" "));
}

// The weights of the first hidden units as pictures: red for, blue against ink, as in 03_evaluate.
function drawUnits({ first }, size) {
  const [canvas, shown] = [part("units"), Math.min(size, 40)];
  [canvas.width, canvas.height] = [300, 30 * Math.ceil(shown / 10)];
  const picture = canvas.getContext("2d").createImageData(canvas.width, canvas.height);
  const limit = 2 * Math.sqrt(first.reduce((sum, weight) => sum + weight * weight, 0) / first.length);
  for (let h = 0; h < shown; h++) {
    for (let p = 0; p < PIXELS; p++) {
      const value = Math.max(-1, Math.min(1, first[p * size + h] / limit));
      const [pale, deep] = [255 * (1 - Math.abs(value)), 255 - 40 * Math.abs(value)];
      const [x, y] = [30 * (h % 10) + (p % 28), 30 * Math.floor(h / 10) + Math.floor(p / 28)];
      picture.data.set([value > 0 ? deep : pale, pale, value > 0 ? pale : deep, 255], 4 * (y * canvas.width + x));
    }
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function outcome(parameters, differs, { epoch, finite, digest }) {
  const changed = fields.filter(({ name }) => parameters[name] !== run.parameters[name]);
  const trained = `${epoch} epoch${epoch > 1 ? "s" : ""}. SHA-256 of the weights: ${digest}.`;
  if (!finite) return `Stopped after ${trained} The error is no longer a number: make learning_rate smaller.`;
  const changes = changed.map(({ name }) => `${name} ${parameters[name]}`).join(", ");
  if (changes) return `Another training, with ${changes}: ${trained}`;
  if (digest === run.digest && !differs) return `Equal: ${trained} All errors and weights are the run's, to the last bit.`;
  return `NOT equal: ${trained} The run's is ${run.digest}; the first epoch that differs is ${differs ?? "none"}.`;
}

part("train").addEventListener("click", async () => {
  const wrong = fields.find((field) => !field.checkValidity());
  if (wrong) return wrong.reportValidity();
  const typed = Object.fromEntries(fields.map(({ name, valueAsNumber }) => [name, valueAsNumber]));
  const parameters = { ...run.parameters, ...typed };
  const same = fields.every(({ name }) => parameters[name] === run.parameters[name]);
  const [images, labels] = await Promise.all([run.images, run.labels].map(unpacked));
  const [masked, fitted] = [[], []];
  let differs = null;
  const finish = (text) => {
    stop();
    [part("train").disabled, part("stop").disabled] = [false, true];
    part("outcome").textContent = text;
  };
  [part("train").disabled, part("stop").disabled, part("progress").max] = [true, false, parameters.epochs];
  part("outcome").textContent = "Training.";
  part("live").hidden = false;
  const count = Math.max(parameters.epochs, run.errors.length);
  for (const [name, accuracies] of Object.entries(run.curves)) line(`run-${name}`, accuracies, count);
  stop = start(images, labels, parameters, (found) => {
    masked.push(found.accuracy);
    fitted.push(found.fitted);
    if (same && differs === null && found.error !== run.errors[found.epoch - 1]) differs = found.epoch;
    line("live-masked", masked, count);
    line("live-fitted", fitted, count);
    drawUnits(found.weights, parameters.hidden_size);
    part("progress").value = found.epoch;
    const [under, without] = [found.accuracy.toFixed(3), found.fitted.toFixed(3)];
    part("shown").textContent = `Thick, this training: epoch ${found.epoch}, ${without}, under dropout ${under}.`;
    if (found.digest) finish(outcome(parameters, differs, found));
  });
  part("stop").onclick = () => finish(`Stopped after ${masked.length} epochs.`);
});
