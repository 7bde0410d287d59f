// Trains the run's network again, in this page, and compares the error of every epoch, and the digest of the weights.
import { PIXELS, digestOf, evaluate, train } from "./network.js";
import { diverging, paint, unpacked } from "./draw.js";

// What is shown of each epoch, the weights now and then. It runs in a worker, which has network.js too.
function* epochs([images, labels], others, parameters) {
  let drawn = 0;
  for (const { epoch, error, accuracy, weights } of train(images, labels, parameters)) {
    const [fittedError, fitted] = evaluate(images, labels, weights, parameters.normalisation);
    const [validationError, validation] = evaluate(...others, weights, parameters.normalisation);
    const finite = [error, fittedError, others[1].length ? validationError : 0].every(Number.isFinite); // as in 02_train
    const last = epoch === parameters.epochs || !finite;
    const shown = last || Date.now() - drawn > 50 ? weights : null;
    yield { epoch, error, masked: accuracy, fitted, validation, finite, weights: shown, digest: last ? digestOf(weights) : null };
    if (last) return;
    if (shown) drawn = Date.now();
  }
}

// Starts a training in a worker that gets `source`, the text of network.js; returns what stops it.
function start(source, training, others, parameters, each, fail) {
  const work = "onmessage = ({ data }) => { for (const value of epochs(...data)) postMessage(value); };";
  const code = URL.createObjectURL(new Blob([source, epochs, "\n", work], { type: "text/javascript" }));
  const worker = new Worker(code);
  worker.onmessage = ({ data }) => each(data);
  worker.onerror = ({ message }) => fail(message);
  worker.postMessage([training, others, parameters]);
  return () => { worker.terminate(); URL.revokeObjectURL(code); };
}

// A line of accuracies in the picture, which is 600 wide and 200 high; the run's own epochs fix its width.
function line(polyline, accuracies, count) {
  const points = accuracies.map((value, i) => `${(600 * (i + 1)) / count},${(200 * (1 - value)).toFixed(1)}`);
  if (points.length === 1) points.unshift(points[0].replace(/^[^,]*/, "0")); // one point alone would not be seen
  polyline.setAttribute("points", points.join(" "));
}

// The weights of the first hidden units as pictures, side by side, as in 03_evaluate.
function drawUnits(canvas, { first }, size) {
  const shown = Math.min(size, 40);
  [canvas.width, canvas.height] = [300, 30 * Math.ceil(shown / 10)];
  const colour = diverging(2 * Math.sqrt(first.reduce((sum, weight) => sum + weight * weight, 0) / first.length));
  for (let h = 0; h < shown; h++) {
    paint(canvas, Array.from({ length: PIXELS }, (_, p) => colour(first[p * size + h])), 30 * (h % 10), 30 * Math.floor(h / 10));
  }
}

const counted = (count) => `${count} epoch${count === 1 ? "" : "s"}`;
const judged = (own, { validation }) => // NaN of no images
  (validation >= 0 ? ` Validation accuracy: ${validation.toFixed(4)}, the run's ${own.at(-1).toFixed(4)}.` : "") + " It reads what you draw now.";

function outcome(run, changes, differs, { epoch, finite, digest }) {
  const trained = `${counted(epoch)}. SHA-256 of the weights: ${digest}.`;
  if (!finite) return `Stopped after ${counted(epoch)}. The error is no longer a number: make learning_rate smaller. This network is not kept, and does not read what you draw.`;
  if (changes) return `Another training, with ${changes}: ${trained}`;
  if (digest === run.digest && !differs) return `Equal: ${trained} All errors and weights are the run's, to the last bit.`;
  return `NOT equal: ${trained} The run's is ${run.digest}; the first epoch that differs is ${differs ?? "none"}.`;
}

// Sets up the button in `root`, which has training.html.j2; `keep` gets a network that has been trained to its end. Returns what stops.
export function setUpTraining(root, run, source, keep = () => {}) {
  const part = (name) => root.querySelector(`.${name}`);
  const fields = [...part("change").querySelectorAll("input")];
  let busy = false;
  const set = (on) => { // not by `disabled`, with which a button loses the focus
    busy = on;
    for (const [name, off] of Object.entries({ train: on, again: on, stop: !on })) part(name).setAttribute("aria-disabled", off);
  };

  async function begin({ currentTarget }) {
    if (busy) return;
    const wrong = fields.find((field) => !field.checkValidity());
    if (wrong) {
      part("change").open = true; // where the browser's message can be seen
      return wrong.reportValidity();
    }
    const parameters = { ...run.parameters, ...Object.fromEntries(fields.map(({ name, valueAsNumber }) => [name, valueAsNumber])) };
    const changes = fields.filter(({ name }) => parameters[name] !== run.parameters[name]).map(({ name }) => `${name} ${parameters[name]}`).join(", ");
    const [lines, count] = [{ masked: [], fitted: [], validation: [] }, Math.max(parameters.epochs, run.errors.length)];
    let [stop, differs, stopped] = [() => {}, null, false];
    const finish = (text) => { stop(); set(false); [part("outcome").textContent, part("stop").onclick] = [text, null]; part("live").hidden ||= !lines.masked.length; };
    const fail = (error) => finish(`This browser could not train it: ${error}`);
    const show = (found) => {
      if (!changes && differs === null && found.error !== run.errors[found.epoch - 1]) differs = found.epoch;
      for (const [name, accuracies] of Object.entries(lines)) {
        if (found[name] >= 0) accuracies.push(found[name]); // NaN of no images
        if (found.weights || found.epoch % Math.ceil(count / 200) === 0) line(part(`live-${name}`), accuracies, count); // not at each of very many
      }
      if (found.weights && found.finite) drawUnits(part("forming"), found.weights, parameters.hidden_size);
      const [under, without, valid] = Object.keys(lines).map((name) => found[name].toFixed(3));
      part("progress").value = found.epoch;
      part("shown").textContent = `Thick, this training: epoch ${found.epoch}, ${without}, under dropout ${under}${found.validation >= 0 ? `, validation ${valid}` : ""}.`;
      if (!found.digest) return;
      finish(outcome(run, changes, differs, found) + (found.finite ? judged(run.curves.validation, found) : ""));
      if (found.finite) keep({ ...parameters, weights: found.weights });
      else part("live").hidden = true;
    };
    part("stop").onclick = () => { stopped = true; finish(`Stopped after ${counted(lines.masked.length)}. This network is not kept, and does not read what you draw.`); };
    set(true);
    if (currentTarget === part("again")) part("progress").scrollIntoView({ block: "center" });
    [part("progress").max, part("progress").value, part("live").hidden, part("forming").width] = [parameters.epochs, 0, false, 300];
    [part("outcome").textContent, part("shown").textContent] = ["Training.", ""];
    for (const name of Object.keys(lines)) line(part(`live-${name}`), [], count);
    try {
      const buffers = await Promise.all([run.images, run.labels, run.validation_images, run.validation_labels].map(unpacked));
      const [images, labels, ...others] = buffers.map((buffer) => new Uint8Array(buffer));
      for (const [name, accuracies] of Object.entries(run.curves)) line(part(`run-${name}`), accuracies, count);
      part("epochs").textContent = count;
      if (!stopped) stop = start(source, [images, labels], others, parameters, show, fail);
    } catch (error) {
      fail(error);
    }
  }
  for (const name of ["train", "again"]) part(name).addEventListener("click", begin);
  return () => part("stop").click(); // which does nothing where nothing is trained
}
