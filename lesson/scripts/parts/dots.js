// A dot stands for a completed training run with the page's setting. A dot has the seed of the run,
// its kind, which is with or without the slip, and its accuracy on the validation images. The
// browser keeps the reader's own dots. One line of text can hold all of them, so that the lines of
// a class can be pasted together.

import { store } from "../../../pipeline/reports/scripts/parts/store.js";

export const KINDS = ["with", "without"]; // the slip
const MAX_SEED = 2 ** 32 - 1;
// A line has a group for its setting, one for the dots of each kind, and one for their number.
const LINE =
  /(?<setting>[0-9a-f]{8}) with(?<with>(?: \d+=[\d.]+)*) without(?<without>(?: \d+=[\d.]+)*), (?<count>\d+) dots?/;
const DOT = /(?<seed>\d+)=(?<accuracy>[\d.]+)/g;
const LINE_END = /, \d+ dots?/g;

const idOf = ({ kind, seed }) => `${kind} ${seed}`;

// The reader's own dots. digest: the SHA-256 of the weights of the page's run. Its first eight
// digits identify the setting of the page.
export class Dots {
  constructor(digest) {
    this.setting = digest.slice(0, 8);
    this.key = `dot ${this.setting} `;
  }

  // Returns the accuracy of the dot with this kind and seed, or null if there is no such dot.
  read(dot) {
    return store.read(this.key + idOf(dot));
  }

  keep(dot) {
    store.keep(this.key + idOf(dot), dot.accuracy);
  }

  list() {
    const dots = store.list(this.key).map((key) => {
      const [kind, seed] = key.slice(this.key.length).split(" ");
      return { kind, seed: Number(seed), accuracy: store.read(key) };
    });
    return dots.sort((a, b) => a.seed - b.seed);
  }

  // Returns the dots that are missing among the next seeds after a seed, each with its kind.
  listMissing(seed, count) {
    const seeds = Array.from({ length: count }, (_, i) => seed + 1 + i);
    const allowed = seeds.filter((each) => each <= MAX_SEED);
    const dots = allowed.flatMap((each) => KINDS.map((kind) => ({ kind, seed: each })));
    return dots.filter((dot) => this.read(dot) === null);
  }

  // Writes the line that holds all dots.
  writeLine() {
    const dots = this.list();
    const write = (kind) => {
      const ofKind = dots.filter((dot) => dot.kind === kind);
      return ofKind.map(({ seed, accuracy }) => ` ${seed}=${accuracy}`).join("");
    };
    return `${this.setting} with${write("with")} without${write("without")}, ${dots.length} dots`;
  }
}

// Returns the dots of one kind. text: their seeds and accuracies, such as " 100=0.8 101=0.82".
function readDots(kind, text) {
  return Array.from(text.matchAll(DOT), ({ groups }) => ({
    kind,
    seed: Number(groups.seed),
    accuracy: Number(groups.accuracy),
  }));
}

// Returns whether a dot has a seed that is allowed, and an accuracy that so many images can give: a
// whole number of them is read correctly.
function isPossible({ seed, accuracy }, images) {
  const correct = accuracy * images;
  const isWhole = Math.abs(correct - Math.round(correct)) < 1e-6;
  return seed <= MAX_SEED && correct <= images && isWhole;
}

// Returns an object with the dots of a line, or with the reason why the line does not count.
// accepted: the dots of the lines above, by their ids.
function readLine(line, setting, images, accepted) {
  const parts = line.match(LINE)?.groups;
  if (!parts) return { reason: "has no dots, or not all the dots that were copied" };
  if (parts.setting !== setting) return { reason: "comes from a page with another setting" };
  const dots = KINDS.flatMap((kind) => readDots(kind, parts[kind]));
  if (dots.length !== Number(parts.count)) {
    return { reason: "does not have all the dots that were copied" };
  }
  const wrong = dots.find((dot) => !isPossible(dot, images));
  if (wrong) return { reason: `has an impossible accuracy or seed: ${wrong.seed}` };
  const other = dots.find((dot) => {
    const earlier = accepted.get(idOf(dot));
    return earlier && earlier.accuracy !== dot.accuracy;
  });
  if (other) {
    const name = `seed ${other.seed}, ${other.kind} the slip`;
    return { reason: `has another accuracy for ${name}, than a line above` };
  }
  return { dots };
}

// Returns the lines of a text that are not blank, each with its number. Where the lines of two
// readers were pasted without a break between them, both get the same number.
function splitLines(text) {
  return text.split("\n").flatMap((line, i) => {
    const separated = line.replace(LINE_END, (end) => `${end}\n`);
    const parts = separated.split("\n").filter((part) => part.trim());
    return parts.map((part) => ({ line: part, number: i + 1 }));
  });
}

// Reads the lines of a class. images: the number of images on which accuracies are measured.
// Returns the dots, each once, how many were there already, and the lines that do not count, each
// with its number in the text and the reason.
export function readLines(text, setting, images) {
  const accepted = new Map(); // dots by their ids
  const refused = [];
  let count = 0;
  for (const { line, number } of splitLines(text)) {
    const { dots, reason } = readLine(line, setting, images, accepted);
    if (reason) {
      refused.push({ line, number, reason });
    } else {
      count += dots.length;
      for (const dot of dots) accepted.set(idOf(dot), dot);
    }
  }
  return { dots: [...accepted.values()], repeated: count - accepted.size, refused };
}
