// Reads a drawing while the reader draws it on the pad, and shows how the answer arises.

import { clamp, imageOf, read, unpackNetwork } from "../compute/reading.js";
import { formatNumber, Section } from "../show/dom.js";
import { nameOf, paintInk, paintSigned } from "../show/paint.js";
import { storeOfTab } from "./store.js";

const STEP = 0.04; // of the pad, by one press of an arrow key
const LOW = 0.1; // an answer whose score is lower is little more than a guess
const CLOSE = 0.2; // if the two largest scores are closer than this, the answer is not sure
const ARROWS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};
const DIGIT = 3; // of the example, which is there until something is drawn
// The points of the example, in fractions of the pad from its left edge and from its top.
const RIGHT = [
  0.26, 0.36, 0.47, 0.57, 0.64, 0.59, 0.52, 0.42, 0.58, 0.69, 0.7, 0.64, 0.54, 0.4, 0.28,
];
const DOWN = [
  0.21, 0.16, 0.13, 0.17, 0.25, 0.38, 0.44, 0.46, 0.48, 0.57, 0.66, 0.75, 0.81, 0.8, 0.76,
];
const EXAMPLE = [RIGHT.map((x, i) => [x, DOWN[i]])];

function describe({ scores, answer, second }, classes) {
  const reads = `This network reads ${nameOf(classes, answer)}, runner-up ${nameOf(classes, second)}.`;
  if (scores[answer] < LOW) return `${reads} No score is near 1: little more than a guess.`;
  const isSure = scores[answer] - scores[second] >= CLOSE;
  return isSure ? reads : `${reads} Not sure: the two scores are close.`;
}

// The pad in `root`, with what is drawn on it, and the network that reads it.
class Pad extends Section {
  constructor(root, network) {
    super(root);
    this.packed = network;
    this.network = { classes: network.classes }; // which gets weights when it is unpacked
    this.canvas = this.part("pad");
    this.past = []; // the strokes that were on the pad before each change
    this.pen = null; // the pointer's id, or "keys", while the pen is down
    this.position = [0.5, 0.5]; // the place of the pen that keys move
    this.byKeys = false;
    this.frame = 0; // the id of the requested animation frame, or 0
    this.key = `drawing ${document.title}`; // of what is kept
    this.strokes = storeOfTab.read(this.key) ?? [];
  }

  get isDrawn() {
    return this.strokes.length > 0;
  }

  // The strokes that are shown: those of the reader, or the example if nothing is drawn and the
  // network reads digits.
  get shown() {
    const hasExample = !this.isDrawn && this.network.classes[DIGIT] === String(DIGIT);
    return hasExample ? EXAMPLE : this.strokes;
  }

  // The image that a network reads while it trains; null if there is none.
  get imageToRead() {
    return this.shown.length > 0 ? imageOf(this.shown) : null;
  }

  askForFrame() {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.show());
  }

  show() {
    this.frame = 0;
    const { network, shown, isDrawn } = this;
    // Nothing is kept while a stroke is being drawn.
    if (this.pen === null) storeOfTab.keep(this.key, this.strokes);
    const image = imageOf(shown);
    this.root.classList.toggle("is-drawn", isDrawn);
    this.part("example").hidden = shown !== EXAMPLE;
    paintInk(this.part("seen"), image);
    this.drawPad(shown);
    if (!network.weights) return; // not unpacked yet
    const reading = read(image, network);
    paintSigned(this.part("parts"), reading.parts);
    this.showScores(reading, network.classes, isDrawn);
    const answer = isDrawn ? describe(reading, network.classes) : "Nothing is drawn yet.";
    const reads = this.part("reads");
    if (reads.textContent !== answer) reads.textContent = answer; // a change is announced
  }

  drawPad(strokes) {
    const context = this.canvas.getContext("2d");
    const side = this.canvas.width;
    context.clearRect(0, 0, side, side);
    context.lineWidth = 0.075 * side;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.strokeStyle = getComputedStyle(this.canvas).color;
    context.globalAlpha = strokes === EXAMPLE ? 0.25 : 1;
    for (const stroke of strokes) {
      const [x0, y0] = stroke[0];
      context.beginPath();
      context.lineTo((x0 - 0.001) * side, y0 * side); // so that a dot is a short line
      for (const [x, y] of stroke) context.lineTo(x * side, y * side);
      context.stroke();
    }
    this.drawPen(context, side);
  }

  // Draws a square where the pen of the keys is. After a press of the pointer, the browser may not
  // count the focus as visible even if keys are used then, so a key makes any focus count.
  drawPen(context, side) {
    context.globalAlpha = 1;
    if (!this.canvas.matches(this.byKeys ? ":focus" : ":focus-visible")) return;
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

  async unpack() {
    try {
      Object.assign(this.network, await unpackNetwork(this.packed));
    } catch (error) {
      this.write("reads", `This browser could not unpack the network: ${error}`);
    }
    this.askForFrame();
  }

  undo() {
    if (this.past.length > 0) this.setStrokes(this.past.pop());
  }

  clear() {
    if (this.isDrawn) this.past.push(this.strokes); // for Undo
    this.setStrokes([]);
  }

  // Begins a stroke. pen: as in the constructor.
  beginStroke(point, pen) {
    this.past.push(this.strokes);
    this.setStrokes([...this.strokes, [point]], pen);
  }

  // Replaces the strokes on the pad.
  setStrokes(strokes, pen = null) {
    this.strokes = strokes;
    this.pen = pen;
    this.askForFrame();
  }

  // Ends the stroke of a pen. If this pen is not down, the pad is only drawn again.
  lift(pen) {
    if (this.pen === pen) this.setStrokes(this.strokes);
    else this.askForFrame();
  }

  // Returns the place of a pointer in fractions of the pad. A place beyond the pad is moved to its
  // edge, because ink there would not be visible.
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
      this.beginStroke(this.locate(event), event.pointerId);
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
    else this.beginStroke(this.position, "keys");
  }

  movePen([right, down]) {
    const [x, y] = this.position;
    this.position = [clamp(x + right, 0, 1), clamp(y + down, 0, 1)];
    if (this.pen === "keys") this.strokes.at(-1).push(this.position);
    this.askForFrame();
  }

  listenToButtons() {
    this.on("undo", "click", () => this.undo());
    this.on("clear", "click", () => this.clear());
  }

  // Reads with another network from now on. Returns whether the answer for the drawing has changed.
  setNetwork(network) {
    const old = this.network;
    this.network = network;
    this.askForFrame();
    if (!this.isDrawn) return false;
    const image = imageOf(this.strokes);
    return read(image, network).answer !== read(image, old).answer;
  }
}

// Sets up the pad in `root`, which has pad.html.j2. network: the packed network, as live.py packs it.
export function setUpPad(root, network) {
  const pad = new Pad(root, network);
  pad.listenToPointers();
  pad.listenToKeys();
  pad.listenToButtons();
  pad.unpack();
  return pad;
}
