// Reads what is drawn on a pad, while it is drawn, and shows how the answer arises.
import { formatNumber, make, Section } from "./dom.js";
import {
  clamp,
  findWeightsOfUnit,
  grey,
  imageOf,
  maxAbs,
  nameOf,
  paint,
  paintSigned,
  read,
  unpackBytes,
  unpackNetwork,
} from "./draw.js";
import { DIGITS, evaluate, PIXELS, Training } from "./network.js";

const MAX_UNITS = 40; // units on the screen: the pressed one, and the most active others
const STEP = 0.04; // of the pad, by one press of an arrow key
const EAGER = 5; // the step of "Teach it", in learning rates
const CLOSE = 0.2; // scores less than this apart are not a sure answer
const ARROWS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};
const DIGIT = 3; // of the example, which is there until something is drawn
const EXAMPLE = [
  [
    [0.26, 0.21],
    [0.36, 0.16],
    [0.47, 0.13],
    [0.57, 0.17],
    [0.64, 0.25],
    [0.59, 0.38],
    [0.52, 0.44],
    [0.42, 0.46],
    [0.58, 0.48],
    [0.69, 0.57],
    [0.7, 0.66],
    [0.64, 0.75],
    [0.54, 0.81],
    [0.4, 0.8],
    [0.28, 0.76],
  ],
];
const DEFAULTS = { learning_rate: 0.005, relu_grad_inactive: 1, seed: 1 }; // where a page cannot train

// Returns the weights after one update of copies of them with an image and its label, without
// dropout.
function learnImage({ weights, normalisation }, image, label, parameters) {
  const copies = {
    first: Float64Array.from(weights.first),
    second: Float64Array.from(weights.second),
  };
  const once = { ...parameters, normalisation, hidden_size: copies.second.length / DIGITS };
  once.learning_rate *= EAGER;
  once.dropout_rate = 0;
  once.input_dropout_rate = 0;
  new Training(image, [label], once, copies).next();
  return copies;
}

// The pad in `root`, with what is drawn on it, and the networks that read it.
class Pad extends Section {
  constructor(root, networks, training, onDrawn) {
    super(root);
    this.networks = networks;
    this.training = training;
    this.onDrawn = onDrawn;
    this.canvas = this.part("pad");
    this.part("label").selectedIndex = -1; // nobody has said yet what is drawn
    // Beside the page's networks, one that was trained here; weights are there once unpacked.
    this.known = networks.map(({ name, classes }) => ({ name, classes }));
    this.strokes = [];
    this.picture = null; // an image in place of strokes
    this.truth = ""; // the name of what the image is labelled
    this.isTouched = false; // whether anything was drawn or cleared
    this.pen = null; // the pointer's id, or "keys", while the pen is down
    this.position = [0.5, 0.5]; // the place of the pen that keys move
    this.byKeys = false;
    this.frame = 0; // the id of the requested animation frame, or 0
    this.unit = null; // the chosen hidden unit
    this.dropped = new Set();
    this.nextImage = 0; // the validation image where the next search for a mistake begins
    this.validation = null; // images and labels, once unpacked
  }

  get network() {
    return this.known[this.part("network").selectedIndex];
  }

  get image() {
    return this.picture ?? imageOf(this.strokes);
  }

  // What a training reads: what is drawn, or else the example; null where there is none.
  get imageToRead() {
    if (this.picture !== null || this.strokes.length > 0) return this.image;
    return this.network.classes[DIGIT] === String(DIGIT) ? imageOf(EXAMPLE) : null;
  }

  askForFrame() {
    this.frame ||= requestAnimationFrame(() => this.show());
  }

  show() {
    this.frame = 0;
    const network = this.network;
    const isDrawn = this.picture !== null || this.strokes.length > 0;
    const hasExample = !isDrawn && network.classes[DIGIT] === String(DIGIT);
    const image = hasExample ? imageOf(EXAMPLE) : this.image;
    this.root.classList.toggle("is-drawn", isDrawn);
    this.root.classList.toggle("is-empty", !isDrawn && !hasExample);
    this.part("example").hidden = !hasExample;
    paint(this.part("seen"), [...image].map(grey));
    this.drawPad(hasExample ? EXAMPLE : this.strokes); // of what is seen, if there is a picture
    if (!network.weights) return; // not unpacked yet
    const reading = read(image, network, this.dropped);
    paintSigned(this.part("parts"), reading.parts);
    this.showScores(reading, network.classes, isDrawn);
    this.showUnits(reading.hidden);
    this.part("unit").hidden = this.unit === null;
    if (this.unit !== null) this.showUnit(network, reading.hidden);
    const answer = isDrawn
      ? this.describe(reading, image, network.classes)
      : "Nothing is drawn yet.";
    const reads = this.part("reads");
    if (reads.textContent !== answer) reads.textContent = answer; // a change is announced
    if (this.isTouched && this.pen === null) this.onDrawn(this.image);
  }

  drawPad(strokes) {
    const context = this.canvas.getContext("2d");
    const side = this.canvas.width;
    context.clearRect(0, 0, side, side);
    if (this.picture) {
      context.imageSmoothingEnabled = false;
      context.drawImage(this.part("seen"), 0, 0, side, side);
    }
    context.lineWidth = 0.075 * side;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.strokeStyle = getComputedStyle(this.canvas).color;
    context.globalAlpha = strokes === EXAMPLE ? 0.25 : 1;
    for (const stroke of strokes) {
      const [[firstX, firstY]] = stroke;
      context.beginPath();
      context.lineTo((firstX - 0.001) * side, firstY * side); // so that a dot is a short line
      for (const [x, y] of stroke) context.lineTo(x * side, y * side);
      context.stroke();
    }
    this.drawPen(context, side);
  }

  drawPen(context, side) {
    context.globalAlpha = 1;
    if (!this.canvas.matches(this.byKeys ? ":focus" : ":focus-visible")) {
      return;
    }
    const [x, y] = this.position;
    context.lineWidth = 3;
    context.strokeRect(x * side - 10, y * side - 10, 20, 20);
  }

  showScores({ scores, answer, second }, classes, isDrawn) {
    [...this.part("scores").children].forEach((row, d) => {
      row.hidden = !(d in classes) && d !== answer && d !== second;
      row.style.setProperty("--part", clamp(scores[d] / 1.2, 0, 1));
      row.classList.toggle("answer", isDrawn && d === answer);
      row.firstElementChild.textContent = nameOf(classes, d);
      row.lastElementChild.textContent = formatNumber(scores[d]);
    });
  }

  // The places of the hidden units that are shown.
  findUnits(hidden) {
    const isChosen = (h) => h === this.unit;
    const order = [...hidden.keys()].sort(
      (a, b) => isChosen(b) - isChosen(a) || hidden[b] - hidden[a],
    );
    return order.slice(0, MAX_UNITS).sort((a, b) => a - b);
  }

  showUnits(hidden) {
    const most = Math.max(...hidden, 1e-9);
    const units = this.findUnits(hidden);
    const list = this.part("units");
    while (list.children.length < units.length) list.append(make("button", { type: "button" }));
    while (list.children.length > units.length) list.children[0].remove();
    units.forEach((h, i) => {
      const button = list.children[i];
      const isDropped = this.dropped.has(h);
      const state = isDropped ? "dropped" : formatNumber(hidden[h]);
      button.value = h;
      button.style.setProperty("--part", hidden[h] / most);
      button.classList.toggle("dropped", isDropped);
      button.setAttribute("aria-label", `Hidden unit ${h}: ${state}`);
      button.setAttribute("aria-pressed", h === this.unit);
    });
  }

  showUnit({ weights: { first, second }, classes }, hidden) {
    const unit = this.unit;
    paintSigned(this.part("weights"), findWeightsOfUnit(first, hidden.length, unit));
    const state = this.dropped.has(unit)
      ? "is dropped; press it again to take it back"
      : `has the activation ${formatNumber(hidden[unit])}; press it again to drop it`;
    this.write(
      "about-unit",
      `Hidden unit ${unit} ${state}. Its weights: red for ink, blue against it. ` +
        "To the scores it adds these:",
    );
    const summands = classes.map((_, d) => hidden[unit] * second[unit * DIGITS + d]);
    const bars = summands.map((value, d) => {
      const name = value < 0 ? "against" : "";
      const bar = make("li", { class: name }, `${classes[d]}: ${formatNumber(value)}`);
      bar.style.setProperty("--part", Math.abs(value) / maxAbs(summands) || 0);
      return bar;
    });
    this.part("to-scores").replaceChildren(...bars);
  }

  describe({ scores, answer, second }, image, classes) {
    const name = nameOf(classes, answer);
    const sentences = [`This network reads ${name}, runner-up ${nameOf(classes, second)}.`];
    if (scores[answer] - scores[second] < CLOSE) {
      sentences.push("Not sure: their scores are close.");
    }
    if (this.picture) sentences.push(`It is labelled ${this.truth}.`);
    for (const other of this.known.filter(({ weights }) => weights)) {
      const otherName = nameOf(other.classes, read(image, other).answer);
      if (otherName !== name) sentences.push(`${other.name} reads ${otherName}.`);
    }
    return sentences.join(" ");
  }

  async unpackNetworks() {
    try {
      for (const [i, network] of this.networks.entries()) {
        Object.assign(this.known[i], await unpackNetwork(network));
      }
    } catch (error) {
      this.part("reads").textContent = `This browser could not unpack the networks: ${error}`;
    }
    this.askForFrame();
  }

  // Replaces what is on the pad by strokes. pen: see above.
  setStrokes(strokes, pen = null) {
    this.strokes = strokes;
    this.pen = pen;
    this.isTouched = true;
    this.picture = null;
    this.write("taught", "");
    if (strokes.length === 0) this.part("label").selectedIndex = -1;
    this.askForFrame();
  }

  lift(pen) {
    if (this.pen === pen) this.setStrokes(this.strokes);
    else this.askForFrame();
  }

  // Where a pointer is, in fractions of the pad; ink beyond it would not be seen.
  locate({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [clamp((clientX - left) / width, 0, 1), clamp((clientY - top) / height, 0, 1)];
  }

  listenToPointers() {
    this.on("pad", "pointerdown", (event) => {
      this.byKeys = false;
      const isHeldByOther = !event.isPrimary && typeof this.pen === "number"; // another finger
      if (event.button !== 0 || isHeldByOther) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.setStrokes([...this.strokes, [this.locate(event)]], event.pointerId);
    });
    this.on("pad", "pointermove", (event) => {
      if (this.pen !== event.pointerId) return;
      this.strokes.at(-1).push(this.locate(event));
      this.askForFrame();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.on("pad", end, ({ pointerId }) => this.lift(pointerId));
    }
  }

  listenToKeys() {
    this.on("pad", "keydown", (event) => {
      this.byKeys = true;
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === " ") {
        if (!event.repeat) this.pressSpace();
      } else if (event.key in ARROWS) {
        this.movePen(ARROWS[event.key]);
      } else {
        return;
      }
      event.preventDefault();
    });
    for (const change of ["focus", "blur"]) {
      this.on("pad", change, () => this.lift("keys"));
    }
  }

  pressSpace() {
    if (this.pen === "keys") this.lift("keys");
    else this.setStrokes([...this.strokes, [this.position]], "keys");
  }

  movePen([right, down]) {
    const [x, y] = this.position;
    this.position = [clamp(x + right, 0, 1), clamp(y + down, 0, 1)];
    if (this.pen === "keys") this.strokes.at(-1).push(this.position);
    this.askForFrame();
  }

  listenToButtons() {
    this.on("undo", "click", () => this.setStrokes(this.strokes.slice(0, -1)));
    this.on("clear", "click", () => this.setStrokes([]));
    this.on("teach", "click", () => this.teach());
    this.on("forget", "click", () => this.forget());
    this.on("mistake", "click", () => this.showMistake());
    this.on("network", "change", () => this.chooseNetwork());
    this.on("units", "click", ({ target: { type, value } }) => {
      if (type === "button") this.pressUnit(Number(value));
    });
  }

  // The first press chooses a unit, the next ones drop it and take it back.
  pressUnit(unit) {
    if (unit === this.unit) {
      const wasDropped = this.dropped.delete(unit);
      if (!wasDropped) this.dropped.add(unit);
    }
    this.unit = unit;
    this.askForFrame();
  }

  chooseNetwork() {
    const { classes, before } = this.network;
    this.unit = null;
    this.write("taught", "");
    this.dropped.clear();
    [...this.part("label").options].forEach((option, d) => {
      option.hidden = !(d in classes);
      option.textContent = nameOf(classes, d);
    });
    this.part("forget").setAttribute("aria-disabled", !before);
    this.askForFrame();
  }

  // Makes one update with what is drawn.
  async teach() {
    const network = this.network;
    const image = this.image;
    const label = this.part("label").selectedIndex;
    if (!network.weights || image.every((ink) => ink === 0)) {
      this.write("taught", "Draw something first.");
      return;
    }
    if (label < 0) {
      this.write("taught", "First choose what it is, after “This is a”.");
      return;
    }
    network.before ??= network.weights;
    const weights = learnImage(network, image, label, this.training?.parameters ?? DEFAULTS);
    const old = await this.validate(network);
    network.weights = weights;
    const now = await this.validate(network);
    const change =
      old === null
        ? ""
        : ` Accuracy on the validation images: ${old.toFixed(3)} before, ${now.toFixed(3)} after.`;
    this.write("taught", `One update was made, with ${EAGER} times the learning rate.${change}`);
    this.part("forget").setAttribute("aria-disabled", false);
    this.askForFrame();
  }

  // The accuracy on the validation images; null if there are none, or of other classes.
  async validate({ weights, normalisation, classes }) {
    if (!(await this.unpackValidation())) return null;
    if (String(classes) !== String(this.training.parameters.classes)) return null;
    const [, accuracy] = evaluate(...this.validation, weights, normalisation);
    return accuracy;
  }

  // Returns whether there are validation images.
  async unpackValidation() {
    const training = this.training;
    const packed = training ? [training.validation_images, training.validation_labels] : [];
    this.validation ??= await Promise.all(packed.map(unpackBytes));
    return this.validation.length > 0 && this.validation[1].length > 0;
  }

  forget() {
    const network = this.network;
    if (!network.before) return;
    network.weights = network.before;
    network.before = null;
    this.write("taught", "As it was before.");
    this.part("forget").setAttribute("aria-disabled", true);
    this.askForFrame();
  }

  // Puts the next of the validation images that the network misreads on the pad.
  async showMistake() {
    const network = this.network;
    await this.unpacking;
    await this.unpackValidation();
    const [images, labels] = this.validation;
    for (let count = 0; count < labels.length; count++) {
      const i = this.nextImage++ % labels.length;
      const image = images.slice(i * PIXELS, (i + 1) * PIXELS); // a copy, with a buffer of its own
      const { answer } = read(image, network);
      if (answer === labels[i]) continue;
      this.setStrokes([]);
      this.picture = image;
      this.part("label").selectedIndex = labels[i];
      const [label, other] = [labels[i], answer].map((d) => nameOf(network.classes, d));
      this.truth = label;
      this.write("taught", `A mistake: labelled ${label}, read as ${other}.`);
      return;
    }
    this.write("taught", "This network reads all validation images correctly.");
  }

  // Adds a network that has been trained here, in place of the last one, and chooses it.
  add(network) {
    const name = "The network trained here";
    const place = this.networks.length;
    const choice = this.part("network");
    if (this.known.length === place) choice.add(new Option(name));
    this.known[place] = { name, ...network };
    choice.selectedIndex = place;
    this.chooseNetwork(); // which may have fewer units
  }
}

// Sets up the pad in `root`, which has pad.html.j2 and drawing.html.j2, with networks as a page holds them, and
// what train.js reads. `onDrawn` is called with the image when the pen is lifted. Returns what a
// training needs: a function that adds a network that has been trained here, and chooses it, and
// one that returns the image to read.
export function setUpPad(root, networks, training, onDrawn = () => {}) {
  const pad = new Pad(root, networks, training, onDrawn);
  pad.listenToPointers();
  pad.listenToKeys();
  pad.listenToButtons();
  pad.unpacking = pad.unpackNetworks();
  return { add: (network) => pad.add(network), getImage: () => pad.imageToRead };
}
