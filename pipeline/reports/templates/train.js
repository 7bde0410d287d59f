// Trains the run's network again, in this page, and compares the error of every epoch, and the digest of the weights.
import { digestOf, evaluate, train } from "./network.js";
import { drawUnits, unpacked } from "./draw.js";

// What is shown of each epoch, the weights now and then. It runs in a worker, which has network.js too.
function* epochs([images, labels], others, parameters) {
  let drawn = 0;
  for (const { epoch, error, accuracy, weights } of train(images, labels, parameters)) {
    const [fittedError, fitted] = evaluate(images, labels, weights, parameters.normalisation);
    const [validationError, validation] = evaluate(...others, weights, parameters.normalisation);
    const finite = [error, fittedError, others[1].length ? validationError : 0].every(
      Number.isFinite,
    ); // as in 02_train
    const last = epoch === parameters.epochs || !finite;
    const shown = last || Date.now() - drawn > 50 ? weights : null;
    yield {
      epoch,
      error,
      masked: accuracy,
      fitted,
      validation,
      validationError,
      finite,
      weights: shown,
      digest: last ? digestOf(weights) : null,
    };
    if (last) return;
    if (shown) drawn = Date.now();
  }
}

// Starts a training in a worker that gets `source`, the text of network.js; returns what stops it.
function start(source, training, others, parameters, each, fail) {
  const work =
    "onmessage = ({ data }) => { for (const value of epochs(...data)) postMessage(value); };";
  const code = URL.createObjectURL(
    new Blob([source, epochs, "\n", work], { type: "text/javascript" }),
  );
  const worker = new Worker(code);
  worker.onmessage = ({ data }) => each(data);
  worker.onerror = ({ message }) => fail(message);
  worker.postMessage([training, others, parameters]);
  return () => {
    worker.terminate();
    URL.revokeObjectURL(code);
  };
}

// A line in a plot, which is 600 wide and 200 high; the run's own epochs fix its width.
function line(polyline, values, count) {
  const { top } = polyline.ownerSVGElement.dataset; // the highest value
  const points = values.map(
    (value, i) =>
      `${(600 * (i + 1)) / count},${(200 * (1 - Math.min(value / top, 1.1))).toFixed(1)}`,
  );
  if (points.length === 1) points.unshift(points[0].replace(/^[^,]*/, "0")); // one point alone would not be seen
  polyline.setAttribute("points", points.join(" "));
}

// Writes beside the end of each line what it is, one below the other.
function labelEnds(svg) {
  svg.querySelectorAll(".end").forEach((text) => text.remove());
  const ends = [...svg.querySelectorAll("polyline[data-label][points]")]
    .map(({ dataset, points }) => [points[points.length - 1], dataset.label])
    .filter(([end]) => end);
  let below = -Infinity;
  for (const [end, label] of ends.sort(([a], [b]) => a.y - b.y)) {
    below = Math.max(below + 24, end.y + 6);
    const text = svg.appendChild(document.createElementNS(svg.namespaceURI, "text"));
    [text.textContent, text.className.baseVal] = [label, "end"];
    [
      ["x", end.x + 6],
      ["y", below],
    ].forEach(([name, value]) => text.setAttribute(name, value));
  }
}

const counted = (count) => `${count} epoch${count === 1 ? "" : "s"}`;

// What a learner wants to know first; nothing without validation images, whose accuracy is NaN.
function judge(own, { validation, finite }) {
  if (!(validation >= 0 && finite)) return "";
  const [was, by] = [own.at(-1), Math.abs(validation - own.at(-1))];
  const words =
    validation > was
      ? `Better than the run by ${by.toFixed(3)}`
      : validation < was
        ? `Worse than the run by ${by.toFixed(3)}`
        : "As good as the run";
  return `${words}: accuracy ${validation.toFixed(3)} on the validation images. `;
}

function outcome(run, changes, differs, { epoch, finite, digest }) {
  const trained = `${counted(epoch)}. SHA-256 of the weights: ${digest}.`;
  if (!finite)
    return `Stopped after ${counted(epoch)}. The error is no longer a number: make learning_rate smaller. This network is not kept, and does not read what you draw.`;
  if (changes) return `Another training, with ${changes}: ${trained}`;
  if (digest === run.digest && !differs)
    return `Equal: ${trained} All errors and weights are the run's, to the last bit.`;
  return `NOT equal: ${trained} The run's is ${run.digest}; the first epoch that differs is ${differs ?? "none"}.`;
}

// A row of the table of tries, the latest first, with a link whose fragment has what was changed.
function addTry(
  part,
  changes,
  fields,
  parameters,
  { epoch, validation, validationError },
  seconds,
  inPage,
) {
  part.hidden = false;
  const row = part.querySelector("tbody").insertRow(0);
  const [error, accuracy] = [validationError, validation].map((value) =>
    value >= 0 ? value.toFixed(4) : "-",
  );
  for (const text of [changes || "nothing", epoch, error, accuracy, `${seconds.toFixed(1)} s`])
    row.insertCell().textContent = text;
  const settings = fields
    .filter(({ value, defaultValue }) => value !== defaultValue)
    .map(({ name }) => `${name}=${parameters[name]}`);
  const link = Object.assign(document.createElement("a"), {
    href: `#${settings.join("&") || "summary"}`,
    textContent: "link",
  });
  row.insertCell().append(inPage ? link : "");
}

// Sets up the button in `root`, which has training.html.j2; `keep` gets a network that has been trained to its end. Returns what stops.
export function setUpTraining(root, run, source, keep = () => {}) {
  const part = (name) => root.querySelector(`.${name}`);
  const fields = [...part("change").querySelectorAll("input")];
  let [busy, tries] = [false, 0];
  const latest = []; // the two tries that are drawn
  const inPage = !root.closest(".live-panel"); // and not in a notebook, whose address is another's
  const set = (on) => {
    // not by `disabled`, with which a button loses the focus
    busy = on;
    for (const [name, off] of Object.entries({ train: on, again: on, stop: !on }))
      part(name).setAttribute("aria-disabled", off);
  };

  const say = (first, more = "") =>
    part("outcome").replaceChildren(
      Object.assign(document.createElement("strong"), { textContent: first }),
      more,
    );

  async function begin() {
    if (busy) return;
    const wrong = fields.find((field) => !field.checkValidity());
    if (wrong) {
      part("change").open = true; // where the browser's message can be seen
      return wrong.reportValidity();
    }
    const parameters = {
      ...run.parameters,
      ...Object.fromEntries(fields.map(({ name, valueAsNumber }) => [name, valueAsNumber])),
    };
    const changes = fields
      .filter(({ name }) => parameters[name] !== run.parameters[name])
      .map(({ name }) => `${name} ${parameters[name]}`)
      .join(", ");
    const [lines, count] = [
      { masked: [], fitted: [], validation: [] },
      Math.max(parameters.epochs, run.errors.length),
    ];
    let [stop, differs, stopped, kept] = [() => {}, null, false, null];
    const errors = [];
    const started = performance.now();
    const finish = (first, more = "") => {
      stop();
      set(false);
      part("stop").onclick = null;
      say(first, more);
    };
    const note = (found) => {
      latest.unshift({ label: `try ${++tries}`, accuracy: lines.validation, error: errors });
      latest.length = Math.min(latest.length, 2);
      for (const kind of ["accuracy", "error"]) {
        root.querySelectorAll(`.${kind} .try`).forEach((polyline, i) => {
          if (!latest[i]?.[kind].length) return;
          line(polyline, latest[i][kind], Number(part("epochs").textContent));
          polyline.dataset.label = latest[i].label;
        });
        labelEnds(part(kind));
      }
      keep({ ...parameters, weights: found.weights });
      addTry(
        part("tries"),
        changes,
        fields,
        parameters,
        found,
        (performance.now() - started) / 1000,
        inPage,
      );
    };
    const fail = (error) => finish(`This browser could not train it: ${error}`);
    const show = (found) => {
      if (!changes && differs === null && found.error !== run.errors[found.epoch - 1])
        differs = found.epoch;
      for (const [name, accuracies] of Object.entries(lines)) {
        if (found[name] >= 0) accuracies.push(found[name]); // NaN of no images
        if (found.weights || found.epoch % Math.ceil(count / 200) === 0)
          line(part(`live-${name}`), accuracies, count); // not at each of very many
      }
      if (found.validationError >= 0) errors.push(found.validationError);
      if (found.weights) line(part("error-live-validation"), errors, count);
      if (found.weights && found.finite) kept = found;
      if (found.weights && found.finite)
        drawUnits(part("forming"), found.weights, parameters.hidden_size);
      const [under, without, valid] = Object.keys(lines).map((name) => found[name].toFixed(3));
      part("progress").value = found.epoch;
      part("shown").textContent =
        `Thick, this training: epoch ${found.epoch}, ${without}, under dropout ${under}${found.validation >= 0 ? `, validation ${valid}` : ""}.`;
      if (!found.digest) return;
      finish(
        judge(run.curves.validation, found),
        `${outcome(run, changes, differs, found)}${found.finite ? " It reads what you draw now." : ""}`,
      );
      if (found.finite) note(found);
    };
    part("stop").onclick = () => {
      stopped = true;
      finish(
        kept
          ? `Stopped after ${counted(kept.epoch)}. This network is kept as it is, and reads what you draw.`
          : "Stopped before the first epoch.",
      );
      if (kept) note(kept);
    };
    set(true);
    part("stage").scrollIntoView({ block: "nearest" }); // what grows
    [part("progress").max, part("progress").value] = [parameters.epochs, 0];
    say("Training.");
    part("shown").textContent = "";
    for (const name of Object.keys(lines)) line(part(`live-${name}`), [], count);
    try {
      const buffers = await Promise.all(
        [run.images, run.labels, run.validation_images, run.validation_labels].map(unpacked),
      );
      const [images, labels, ...others] = buffers.map((buffer) => new Uint8Array(buffer));
      for (const [name, values] of Object.entries(run.curves))
        line(part(`run-${name}`), values, count);
      for (const [name, values] of Object.entries(run.errorCurves))
        line(part(`error-run-${name}`), values, count);
      root.querySelectorAll(".epochs").forEach((text) => {
        text.textContent = count;
      });
      if (!stopped) stop = start(source, [images, labels], others, parameters, show, fail);
    } catch (error) {
      fail(error);
    }
  }
  // Takes the settings in the page's address, such as #learning_rate=0.01&seed=3, into the fields.
  function readAddress() {
    const refused = [];
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
      const field = fields.find((each) => each.name === name);
      if (!field || value === "") continue;
      field.value = value;
      if (field.value !== "" && field.checkValidity()) part("change").open = true;
      else [field.value] = [field.defaultValue, refused.push(`${name} ${value}`)];
    }
    if (refused.length)
      say(`The address has ${refused.join(", ")}, which cannot be; the run's own value is kept.`);
  }
  ["accuracy", "error"].forEach((kind) => labelEnds(part(kind)));
  part("defaults").addEventListener("click", () =>
    fields.forEach((field) => {
      field.value = field.defaultValue;
    }),
  );
  if (inPage) {
    readAddress();
    window.addEventListener("hashchange", readAddress);
  }
  for (const name of ["train", "again"]) part(name).addEventListener("click", begin);
  return () => part("stop").click(); // which does nothing where nothing is trained
}
