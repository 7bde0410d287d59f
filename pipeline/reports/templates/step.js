// Trains a fresh network from the run's seed, one image a press, and shows what each update is made of.
import { DIGITS, PIXELS, Training, forward, largest } from "./network.js";
import { diverging, fixed, grey, largestOf, nameOf, paint, unpacked } from "./draw.js";

const SHORTEST = 1200; // frames of a whole epoch: some 20 seconds

// Sets up the section in `root`, which has step.html.j2. Returns what stops it.
export function setUpSteps(root, run) {
  const part = (name) => root.querySelector(`.${name}`);
  const { classes, hidden_size: size } = run.parameters;
  let [training, playing, chosen, after] = [null, 0, null, new Float64Array(DIGITS)];

  async function begin() {
    const [images, labels] = (await Promise.all([run.images, run.labels].map(unpacked))).map(
      (buffer) => new Uint8Array(buffer),
    );
    training = new Training(images, labels, run.parameters);
    for (const name of ["first-epoch", "place", "errors"]) part(name).textContent = "";
    part("shown-step").hidden = true;
  }

  function step() {
    training.next();
    const { place, labels, error, correct, epoch } = training;
    if (epoch > 1 || place < labels.length) return;
    const [mean, accuracy, masked] = [error / place, correct / place, run.curves.masked[0]];
    const verdict = mean === run.errors[0] && accuracy === masked ? "equal" : "not equal";
    part("first-epoch").textContent =
      `First epoch: error ${mean.toFixed(4)}, accuracy ${accuracy.toFixed(3)}; ${verdict} to the first entry of the run's history.`;
    stop();
  }

  function show() {
    const { place, epoch, labels, image, scaled, weights, mask, hidden, scores, delta, signal } =
      training;
    const [label, ones] = [
      labels[place - 1],
      (values) => values.reduce((sum, value) => sum + value * value, 0),
    ];
    forward(image, scaled, weights, mask, new Float64Array(size), after);
    part("shown-step").hidden = false;
    part("place").textContent =
      `Image ${place.toLocaleString("en")} of ${labels.length.toLocaleString("en")}${epoch > 1 ? `, epoch ${epoch}` : ""}, labelled ${nameOf(classes, label)}`;
    const then = ones(Array.from(after, (score, d) => score - (d === label)));
    part("errors").textContent =
      `Error before the update ${fixed(ones(delta))}, after it ${fixed(then)}. Answer before ${nameOf(classes, largest(scores))}, after ${nameOf(classes, largest(after))}.`;
    paint(part("image"), [...image].map(grey));
    const most = Math.max(...hidden, 1e-9);
    const unit = chosen ?? largest(signal.map(Math.abs)); // until one is chosen
    [...part("row").children].forEach((button, h) => {
      button.style.setProperty("--part", hidden[h] / most);
      button.classList.toggle("dropped", mask[h] === 0);
      button.setAttribute("aria-pressed", h === unit);
      button.setAttribute(
        "aria-label",
        `Hidden unit ${h}: ${mask[h] ? `activation ${fixed(hidden[h])}, error signal ${fixed(signal[h])}` : "dropped"}`,
      );
    });
    paint(part("signals"), [...signal].map(diverging(largestOf(signal))), 0, 0, size);
    [...part("rows").children].forEach((row, d) => {
      [scores[d], Number(d === label), delta[d], after[d]].forEach((value, i) => {
        row.cells[i + 1].textContent = i === 1 ? value : fixed(value);
      });
    });
    const second = Array.from(
      { length: DIGITS * size },
      (_, k) => hidden[k % size] * delta[Math.floor(k / size)],
    );
    paint(part("second"), second.map(diverging(largestOf(second))), 0, 0, size);
    const first = Array.from(image, (pixel) => scaled[pixel] * signal[unit]);
    paint(part("first"), first.map(diverging(largestOf(first))));
    const best = largest(first.map(Math.abs)); // the pixel whose weight changes most
    const [now, change] = [weights.first[best * size + unit], training.rate * first[best]];
    part("example").textContent =
      `For instance, the weight from the pixel in row ${Math.floor(best / 28)}, column ${best % 28} to hidden unit ${unit} was ${(now + change).toFixed(4)} and is ${now.toFixed(4)}.`;
    part("of-unit").textContent =
      `hidden unit ${unit}: pixel times error signal ${fixed(signal[unit])}`;
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    for (const [name, off] of Object.entries({ play: false, pause: true }))
      part(name).setAttribute("aria-disabled", off);
  }
  function play() {
    playing = requestAnimationFrame(play);
    for (let k = Math.ceil(training.labels.length / SHORTEST); k > 0 && playing; k--) step();
    show();
  }
  const on = (name, act) => part(name).addEventListener("click", act);
  on("next", async () => {
    if (!training) await begin();
    stop();
    step();
    show();
  });
  on("play", async () => {
    if (playing) return;
    if (!training) await begin();
    for (const [name, off] of Object.entries({ play: true, pause: false }))
      part(name).setAttribute("aria-disabled", off);
    play();
  });
  on("pause", stop);
  on("start", async () => {
    stop();
    await begin();
  });
  for (let h = 0; h < size; h++)
    part("row").append(
      Object.assign(document.createElement("button"), { type: "button", value: h }),
    );
  [part("signals").width, part("second").width] = [size, size];
  on("row", ({ target: { type, value } }) => {
    if (type !== "button") return;
    chosen = Number(value);
    show();
  });
  return stop;
}
