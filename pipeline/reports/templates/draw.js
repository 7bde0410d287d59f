// Reads what is drawn on a pad, while it is drawn, with the functions of network.js, and shows how the answer arises.
import { DIGITS, PIXELS, evaluate, forward, largest, scales, update } from "./network.js";

const PEN = 2.5; // the pen's width in pixels of an image: with it a drawn digit has as much ink as one of MNIST's
const SIDE = 28;
const COLUMNS = 8; // of the pictures of weights
const UNITS = 40; // shown at most: the one that is pressed, and the most active
const STEP = 0.04; // of the pad, by one press of an arrow key
const EAGER = 5; // times the learning rate, with which "Teach it" makes its one update
const CLOSE = 0.2; // scores less than this apart are not a sure answer
const ARROWS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};

const between = (low, value, high) => Math.max(low, Math.min(high, value));

// Lines as an image of 28 x 28 bytes, moved by (right, down); the edges of the pen are grey.
function inked(lines, right, down) {
  const [near, image] = [new Float64Array(PIXELS).fill(Infinity), new Uint8Array(PIXELS)];
  const span = (a, b) => [
    Math.max(0, Math.floor(Math.min(a, b) - PEN)),
    Math.min(SIDE, Math.max(a, b) + PEN),
  ];
  const draw = (ax, ay, bx, by) => {
    const [[left, end], [top, bottom], dx, dy] = [span(ax, bx), span(ay, by), bx - ax, by - ay];
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < end; column++) {
        const [x, y, p] = [column + 0.5 - ax, row + 0.5 - ay, SIDE * row + column];
        const along = between(0, (x * dx + y * dy) / (dx * dx + dy * dy || 1), 1);
        near[p] = Math.min(near[p], Math.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2));
      }
    }
  };
  for (const line of lines) {
    [line[0], ...line.slice(0, -1)].forEach(([x, y], i) =>
      draw(x + right, y + down, line[i][0] + right, line[i][1] + down),
    );
  }
  return image.map((_, p) => Math.round(255 * between(0, PEN / 2 + 0.5 - near[p], 1)));
}

// Strokes, lists of points [x, y] in fractions of the pad, in the form of MNIST's digits, wherever on the pad and however
// large they are: fitted into 20 x 20 pixels, proportions kept, the centre of mass in the middle (Y. LeCun et al. 1998,
// Gradient-based learning applied to document recognition, section III.A). A dot stays a dot.
export function imageOf(strokes) {
  const points = strokes.flat();
  if (points.length === 0) return new Uint8Array(PIXELS);
  const ends = (k) => [
    Math.min(...points.map((point) => point[k])),
    Math.max(...points.map((point) => point[k])),
  ];
  const [[left, right], [top, bottom]] = [ends(0), ends(1)];
  const scale = (20 - PEN) / Math.max(right - left, bottom - top, 0.05);
  const lines = strokes.map((stroke) =>
    stroke.map(([x, y]) => [(x - left) * scale, (y - top) * scale]),
  );
  const first = inked(lines, 4, 4);
  let [mass, across, below] = [0, 0, 0];
  first.forEach((ink, p) => {
    mass += ink;
    across += ink * ((p % SIDE) + 0.5);
    below += ink * (Math.floor(p / SIDE) + 0.5);
  });
  const place = (centre, extent) => between(PEN / 2, 18.5 - centre, SIDE - PEN / 2 - extent);
  const [width, height] = [(right - left) * scale, (bottom - top) * scale];
  return inked(lines, place(across / mass, width), place(below / mass, height));
}

// The scores of an image, its hidden units, the labels of the two largest scores, and each pixel's part of the answer's.
export function read(image, { normalisation, weights }, dropped = new Set()) {
  const size = weights.second.length / DIGITS;
  const [scores, hidden, scaled] = [
    new Float64Array(DIGITS),
    new Float64Array(size),
    scales(normalisation),
  ];
  const places = forward(
    image,
    scaled,
    weights,
    hidden.map((_, h) => Number(!dropped.has(h))),
    hidden,
    scores,
  );
  const answer = largest(scores);
  const second = largest(scores.slice().fill(-Infinity, answer, answer + 1));
  const parts = new Float64Array(PIXELS);
  for (const p of places)
    for (let h = 0; h < size; h++) {
      const through =
        hidden[h] > 0 ? weights.first[p * size + h] * weights.second[h * DIGITS + answer] : 0;
      parts[p] += scaled[image[p]] * through;
    }
  return { scores, hidden, answer, second, parts };
}

export async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(
    new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate")),
  ).arrayBuffer();
}

export async function unpackNetwork({ hidden_size, normalisation, weights }) {
  const [numbers, cut] = [new Float32Array(await unpacked(weights)), PIXELS * hidden_size];
  return {
    normalisation,
    weights: { first: numbers.subarray(0, cut), second: numbers.subarray(cut) },
  };
}

// Colours of a pixel, red, green, blue and opacity: grey for ink; red above, blue below and white at 0.
export const grey = (ink) => [255 - ink, 255 - ink, 255 - ink, 255];
export const diverging = (limit) => (value) => {
  const part = between(-1, value / limit || 0, 1);
  const deep = part > 0 ? [178, 24, 43] : [33, 102, 172]; // as in the plots
  return [...deep.map((channel) => 255 + Math.abs(part) * (channel - 255)), 255];
};

export function paint(canvas, colours, x = 0, y = 0, width = SIDE) {
  const picture = new ImageData(width, colours.length / width);
  colours.forEach((colour, p) => picture.data.set(colour, 4 * p));
  canvas.getContext("2d").putImageData(picture, x, y);
}

// The weights of the first hidden units as pictures, side by side, as in 03_evaluate.
export function drawUnits(canvas, { first }, size) {
  const shown = Math.min(size, 40);
  [canvas.hidden, canvas.width, canvas.height] = [
    false,
    30 * COLUMNS,
    30 * Math.ceil(shown / COLUMNS),
  ];
  const colour = diverging(
    2 * Math.sqrt(first.reduce((sum, weight) => sum + weight * weight, 0) / first.length),
  );
  for (let h = 0; h < shown; h++) {
    paint(
      canvas,
      Array.from({ length: PIXELS }, (_, p) => colour(first[p * size + h])),
      30 * (h % COLUMNS),
      30 * Math.floor(h / COLUMNS),
    );
  }
}

// Shows the run's weights, unless its network is too large for the page.
export async function showRun(root, [network]) {
  if (!network.name.startsWith("This run")) return;
  drawUnits(
    root.querySelector(".forming"),
    (await unpackNetwork(network)).weights,
    network.hidden_size,
  );
}

export const nameOf = (classes, output) => classes[output] ?? "unused"; // where there are fewer classes than outputs
export const largestOf = (values) => Math.max(...values.map(Math.abs));
export const fixed = (value) => value.toFixed(2).replace(/^-0.00$/, "0.00");

// Sets up the pad in `root`, which has drawing.html.j2, with networks as a page holds them, and what train.js reads;
// `drawn` is called with the image when the pen is lifted. Returns a function that adds a network that has been trained
// here, and chooses it.
export function setUpPad(root, networks, training, drawn = () => {}) {
  const part = (name) => root.querySelector(`.${name}`);
  const [pad, known] = [part("pad"), networks.map(({ name, classes }) => ({ name, classes }))];
  let [strokes, pen, at, asked, unit, byKeys] = [[], null, [0.5, 0.5], 0, null, false]; // pen: what holds it down, a pointer or the keys
  let [given, mistakes, validation] = [null, 0, null]; // given: an image in place of strokes
  const dropped = new Set();
  const current = () => known[part("network").selectedIndex];
  const imageNow = () => given ?? imageOf(strokes);

  function show() {
    asked = 0;
    const [image, network, isDrawn] = [imageNow(), current(), given !== null || strokes.length > 0];
    paint(part("seen"), [...image].map(grey));
    drawPad(); // of what is seen, if an image is given
    if (!network.weights) return; // not unpacked yet
    const found = read(image, network, dropped);
    paint(part("parts"), [...found.parts].map(diverging(largestOf(found.parts))));
    [...part("scores").children].forEach((row, d) => {
      row.hidden = !(d in network.classes) && d !== found.answer && d !== found.second;
      row.style.setProperty("--part", between(0, found.scores[d] / 1.2, 1));
      row.classList.toggle("answer", isDrawn && d === found.answer);
      [row.firstElementChild.textContent, row.lastElementChild.textContent] = [
        nameOf(network.classes, d),
        fixed(found.scores[d]),
      ];
    });
    showUnits(found.hidden);
    part("unit").hidden = unit === null;
    if (unit !== null) showUnit(network, found.hidden);
    const said = isDrawn ? answerOf(found, image, network.classes) : "Nothing is drawn yet.";
    if (part("reads").textContent !== said) part("reads").textContent = said; // a change is announced
    if (pen === null) drawn(image);
  }

  const ask = () => {
    asked ||= requestAnimationFrame(show);
  };
  function drawPad() {
    const [context, side] = [pad.getContext("2d"), pad.width];
    context.clearRect(0, 0, side, side);
    if (given) {
      context.imageSmoothingEnabled = false;
      context.drawImage(part("seen"), 0, 0, side, side);
    }
    [context.lineWidth, context.lineCap, context.lineJoin, context.strokeStyle] = [
      0.075 * side,
      "round",
      "round",
      getComputedStyle(pad).color,
    ];
    for (const stroke of strokes) {
      context.beginPath();
      for (const [x, y] of [[stroke[0][0] - 0.001, stroke[0][1]], ...stroke])
        context.lineTo(x * side, y * side); // a dot is short
      context.stroke();
    }
    context.lineWidth = 3;
    if (pad.matches(byKeys ? ":focus" : ":focus-visible"))
      context.strokeRect(at[0] * side - 10, at[1] * side - 10, 20, 20); // the pen
  }

  function showUnits(hidden) {
    const [most, order] = [
      Math.max(...hidden, 1e-9),
      [...hidden.keys()].sort((a, b) => (b === unit) - (a === unit) || hidden[b] - hidden[a]),
    ];
    const [shown, buttons] = [order.slice(0, UNITS).sort((a, b) => a - b), part("units").children];
    while (buttons.length < shown.length) part("units").append(document.createElement("button"));
    while (buttons.length > shown.length) buttons[0].remove();
    shown.forEach((h, i) => {
      [buttons[i].type, buttons[i].value] = ["button", h];
      buttons[i].style.setProperty("--part", hidden[h] / most);
      buttons[i].classList.toggle("dropped", dropped.has(h));
      buttons[i].setAttribute(
        "aria-label",
        `Hidden unit ${h}: ${dropped.has(h) ? "dropped" : fixed(hidden[h])}`,
      );
      buttons[i].setAttribute("aria-pressed", h === unit);
    });
  }

  function showUnit({ weights: { first, second }, classes }, hidden) {
    const own = Array.from({ length: PIXELS }, (_, p) => first[p * hidden.length + unit]);
    paint(part("weights"), own.map(diverging(largestOf(own))));
    const adds = classes.map((_, d) => hidden[unit] * second[unit * DIGITS + d]);
    const state = dropped.has(unit)
      ? "is dropped; press it again to take it back"
      : `has the activation ${fixed(hidden[unit])}; press it again to drop it`;
    part("about-unit").textContent =
      `Hidden unit ${unit} ${state}. Its weights: red for ink, blue against it. To the scores it adds these:`;
    part("to-scores").replaceChildren(
      ...adds.map((value, d) => {
        const bar = Object.assign(document.createElement("li"), {
          textContent: `${classes[d]}: ${fixed(value)}`,
          className: value < 0 ? "against" : "",
        });
        bar.style.setProperty("--part", Math.abs(value) / largestOf(adds) || 0);
        return bar;
      }),
    );
  }

  function answerOf({ scores, answer, second }, image, classes) {
    const sentences = [
      `This network reads ${nameOf(classes, answer)}, runner-up ${nameOf(classes, second)}.`,
    ];
    if (scores[answer] - scores[second] < CLOSE)
      sentences.push("Not sure: their scores are close.");
    for (const other of known.filter(({ weights }) => weights)) {
      const its = nameOf(other.classes, read(image, other).answer);
      if (its !== nameOf(classes, answer)) sentences.push(`${other.name} reads ${its}.`);
    }
    return sentences.join(" ");
  }

  async function unpack() {
    for (const [i, network] of networks.entries())
      Object.assign(known[i], await unpackNetwork(network));
    ask();
  }
  const complain = (error) => {
    part("reads").textContent = `This browser could not unpack the networks: ${error}`;
  };
  function keep(kept, by = null) {
    [strokes, pen, given, part("taught").textContent] = [kept, by, null, ""];
    if (!known[0].weights) unpack().catch(complain);
    ask();
  }
  const place = ({ clientX, clientY }) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    return [between(0, (clientX - left) / width, 1), between(0, (clientY - top) / height, 1)]; // ink beyond would not be seen
  };
  const on = (name, event, act) => part(name).addEventListener(event, act);
  for (const event of ["pointerdown", "keydown"])
    on("pad", event, ({ type }) => {
      byKeys = type === "keydown";
    });
  on("pad", "pointerdown", (event) => {
    if (event.button !== 0 || (!event.isPrimary && typeof pen === "number")) return; // another finger may rest elsewhere
    pad.setPointerCapture(event.pointerId);
    keep([...strokes, [place(event)]], event.pointerId);
  });
  on("pad", "pointermove", (event) => {
    if (pen !== event.pointerId) return;
    strokes.at(-1).push(place(event));
    ask();
  });
  const lift = (by) => (pen === by ? keep(strokes) : ask());
  for (const end of ["pointerup", "pointercancel"])
    on("pad", end, ({ pointerId }) => lift(pointerId));
  on("pad", "keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " " && pen === "keys") event.repeat || lift("keys");
    else if (event.key === " ") event.repeat || keep([...strokes, [at]], "keys");
    else if (event.key in ARROWS) {
      at = at.map((x, k) => between(0, x + ARROWS[event.key][k], 1));
      if (pen === "keys") strokes.at(-1).push(at);
      ask();
    } else return;
    event.preventDefault();
  });
  for (const change of ["focus", "blur"]) on("pad", change, () => lift("keys"));
  on("undo", "click", () => keep(strokes.slice(0, -1)));
  on("clear", "click", () => keep([]));
  const choose = () => {
    [unit, part("taught").textContent] = [null, ""];
    dropped.clear();
    [...part("label").options].forEach((option, d) => {
      [option.hidden, option.textContent] = [
        !(d in current().classes),
        nameOf(current().classes, d),
      ];
    });
    part("forget").setAttribute("aria-disabled", !current().before);
    ask();
  };
  // One update with what is drawn, without dropout.
  async function teach() {
    const [network, image] = [current(), imageNow()];
    if (!network.weights || image.every((ink) => ink === 0)) return;
    const { learning_rate: rate, relu_grad_inactive: inactive } = training?.parameters ?? {
      learning_rate: 0.005,
      relu_grad_inactive: 1,
    };
    network.before ??= network.weights;
    const weights = {
      first: Float64Array.from(network.weights.first),
      second: Float64Array.from(network.weights.second),
    };
    const scaled = scales(network.normalisation);
    const [hidden, signal] = [0, 1].map(() => new Float64Array(weights.second.length / DIGITS));
    const [scores, mask] = [new Float64Array(DIGITS), hidden.map(() => 1)];
    const places = forward(image, scaled, weights, mask, hidden, scores);
    const delta = scores.map((score, d) => score - (d === part("label").selectedIndex));
    const old = await validated(network);
    update(weights, image, scaled, places, mask, hidden, delta, signal, EAGER * rate, inactive);
    network.weights = weights;
    const now = await validated(network);
    part("taught").textContent =
      old === null
        ? `One update was made, with ${EAGER} times the learning rate.`
        : `One update was made, with ${EAGER} times the learning rate. Accuracy on the validation images: ${old.toFixed(3)} before, ${now.toFixed(3)} after.`;
    part("forget").setAttribute("aria-disabled", false);
    ask();
  }
  async function validated({ weights, normalisation, classes }) {
    if (!(await unpackValidation()) || String(classes) !== String(training.parameters.classes))
      return null;
    return evaluate(...validation, weights, normalisation)[1];
  }
  async function unpackValidation() {
    const packed = training ? [training.validation_images, training.validation_labels] : [];
    validation ??= await Promise.all(
      packed.map(async (text) => new Uint8Array(await unpacked(text))),
    );
    return validation.length > 0 && validation[1].length > 0;
  }
  function forget() {
    const network = current();
    if (!network.before) return;
    [network.weights, network.before, part("taught").textContent] = [
      network.before,
      null,
      "As it was before.",
    ];
    part("forget").setAttribute("aria-disabled", true);
    ask();
  }
  // Puts the next of the validation images that the network misreads on the pad.
  async function showMistake() {
    const network = current();
    if (!network.weights) await unpack();
    if (!(await unpackValidation())) return;
    const [images, labels] = validation;
    for (let tried = 0; tried < labels.length; tried++) {
      const i = mistakes++ % labels.length;
      const image = images.subarray(i * PIXELS, (i + 1) * PIXELS);
      if (read(image, network).answer === labels[i]) continue;
      keep([]);
      [given, part("label").selectedIndex] = [image, labels[i]];
      return;
    }
    part("taught").textContent = "This network reads all validation images correctly.";
  }
  on("teach", "click", teach);
  on("forget", "click", forget);
  part("mistake")?.addEventListener("click", showMistake);
  on("network", "change", choose);
  on("units", "click", ({ target: { type, value } }) => {
    // the first press chooses a unit, the next drop it and take it back
    if (type !== "button") return;
    if (Number(value) === unit) dropped.delete(unit) || dropped.add(unit);
    unit = Number(value);
    ask();
  });
  return (network) => {
    const name = "The network trained here";
    if (known.length === networks.length) part("network").add(new Option(name));
    [known[networks.length], part("network").selectedIndex] = [
      { name, ...network },
      networks.length,
    ];
    choose(); // another network may have fewer units
  };
}
