// Trains the run's network again, in this page, with the functions of network.js, and compares what comes of it with
// what the run recorded: the error of every epoch, and the digest of the weights. Nothing runs before it is asked for.
const run = JSON.parse(document.getElementById("run").textContent);
const part = (id) => document.getElementById(id);
const fields = [...part("training").querySelectorAll("input")];

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// What is shown of each epoch, the weights now and then; it runs in a worker, which has network.js too, or in slices here.
function* epochs(images, labels, parameters) {
  let drawn = 0;
  for (const { epoch, error, accuracy, weights } of train(images, labels, parameters)) {
    const [fittedError, fitted] = evaluate(images, labels, weights, parameters.normalisation);
    const last = epoch === parameters.epochs || !Number.isFinite(fittedError);
    const digest = last ? digestOf(weights) : null;
    const shown = last || Date.now() - drawn > 50 ? weights : null;
    yield { epoch, error, accuracy, fitted, finite: Number.isFinite(fittedError), weights: shown, digest };
    if (last) return;
    if (shown) drawn = Date.now();
  }
}

// Starts a training, in a worker or else in slices here, and returns what stops it.
function start(images, labels, parameters, each, fail) {
  let [end, heard, stopped] = [() => {}, false, false];
  const inSlices = () => {
    const steps = epochs(images, labels, parameters);
    const go = () => {
      try {
        const { value, done } = steps.next();
        if (done) return;
        timer = setTimeout(go);
        each(value);
      } catch (error) {
        fail(error);
      }
    };
    let timer = setTimeout(go);
    end = () => clearTimeout(timer);
  };
  const work = "onmessage = ({ data }) => { for (const value of epochs(...data)) postMessage(value); };";
  try {
    const code = new Blob([part("network").textContent, epochs, "\n", work], { type: "text/javascript" });
    const address = URL.createObjectURL(code);
    const worker = new Worker(address);
    end = () => {
      worker.terminate();
      URL.revokeObjectURL(address);
    };
    worker.onmessage = ({ data }) => {
      heard = true;
      each(data);
    };
    worker.onerror = ({ message }) => {
      if (stopped) return;
      end();
      if (heard) fail(message);
      else inSlices(); // where a page from a disk may have no worker
    };
    worker.postMessage([images, labels, parameters]);
  } catch {
    inSlices();
  }
  return () => {
    stopped = true;
    end();
  };
}

// A line of accuracies in the picture, which is 600 wide and 200 high; the run's own epochs fix its width.
function line(id, accuracies, count) {
  const points = accuracies.map((value, i) => `${(600 * (i + 1)) / count},${(200 * (1 - value)).toFixed(1)}`);
  if (points.length === 1) points.unshift(points[0].replace(/^[^,]*/, "0")); // one point alone would not be seen
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

const counted = (count) => `${count} epoch${count === 1 ? "" : "s"}`;

function outcome(parameters, differs, { epoch, finite, digest }) {
  const changed = fields.filter(({ name }) => parameters[name] !== run.parameters[name]);
  const trained = `${counted(epoch)}. SHA-256 of the weights: ${digest}.`;
  if (!finite) return `Stopped after ${trained} The error is no longer a number: make learning_rate smaller.`;
  const changes = changed.map(({ name }) => `${name} ${parameters[name]}`).join(", ");
  if (changes) return `Another training, with ${changes}: ${trained}`;
  if (digest === run.digest && !differs) return `Equal: ${trained} All errors and weights are the run's, to the last bit.`;
  return `NOT equal: ${trained} The run's is ${run.digest}; the first epoch that differs is ${differs ?? "none"}.`;
}

part("train").addEventListener("click", async () => {
  const wrong = fields.find((field) => !field.checkValidity());
  if (wrong) {
    wrong.closest("details").open = true; // where the browser's message can be seen
    wrong.reportValidity();
    return;
  }
  const typed = Object.fromEntries(fields.map(({ name, valueAsNumber }) => [name, valueAsNumber]));
  const parameters = { ...run.parameters, ...typed };
  const same = fields.every(({ name }) => parameters[name] === run.parameters[name]);
  const [masked, fitted] = [[], []];
  let [stop, differs] = [() => {}, null];
  const finish = (text) => {
    stop();
    [part("train").disabled, part("stop").disabled] = [false, true];
    part("outcome").textContent = text;
  };
  const fail = (error) => finish(`This browser could not train it: ${error}`);
  const count = Math.max(parameters.epochs, run.errors.length);
  const show = (found) => {
    masked.push(found.accuracy);
    fitted.push(found.fitted);
    if (same && differs === null && found.error !== run.errors[found.epoch - 1]) differs = found.epoch;
    line("live-masked", masked, count);
    line("live-fitted", fitted, count);
    if (found.weights) drawUnits(found.weights, parameters.hidden_size);
    part("progress").value = found.epoch;
    const [under, without] = [found.accuracy.toFixed(3), found.fitted.toFixed(3)];
    part("shown").textContent = `Thick, this training: epoch ${found.epoch}, ${without}, under dropout ${under}.`;
    if (found.digest) finish(outcome(parameters, differs, found));
  };
  [part("train").disabled, part("progress").max, part("progress").value] = [true, parameters.epochs, 0];
  part("outcome").textContent = "Training.";
  try {
    const [images, labels] = await Promise.all([run.images, run.labels].map(unpacked));
    part("live").hidden = false;
    for (const [name, accuracies] of Object.entries(run.curves)) line(`run-${name}`, accuracies, count);
    for (const id of ["live-masked", "live-fitted"]) line(id, [], count);
    part("stop").disabled = false;
    part("stop").onclick = () => finish(`Stopped after ${counted(masked.length)}.`);
    stop = start(images, labels, parameters, show, fail);
  } catch (error) {
    fail(error);
  }
});
