// A dot stands for a completed training run with the page's setting. A dot has the seed of the run,
// its kind, which is with or without the slip, and its accuracy on the validation images. The
// browser keeps the reader's own dots. One line of text can hold all of them, so that the lines of
// a class can be pasted together.

import { store } from "../../../pipeline/reports/scripts/parts/store.js";

export const KINDS = ["with", "without"]; // the slip
const MAX_SEED = 2 ** 32 - 1;
const LINE = /([0-9a-f]{8}) with((?: \d+=[\d.]+)*) without((?: \d+=[\d.]+)*), (\d+) dots?/;

const nameDot = ({ kind, seed }) => `seed ${seed}, ${kind} the slip`;

const idOf = ({ kind, seed }) => `${kind} ${seed}`;

// The reader's own dots. digest: the SHA-256 of the weights of the page's run. Its first eight
// digits identify the setting of the page.
export class Dots {
  constructor(digest) {
    this.setting = digest.slice(0, 8);
    this.key = `dot ${this.setting} `;
  }

  read(kind, seed) {
    return store.read(this.key + idOf({ kind, seed }));
  }

  keep({ kind, seed, accuracy }) {
    store.keep(this.key + idOf({ kind, seed }), accuracy);
  }

  list() {
    const dots = store.list(this.key).map((key) => {
      const [kind, seed] = key.slice(this.key.length).split(" ");
      return { kind, seed: Number(seed), accuracy: store.read(key) };
    });
    return dots.sort((a, b) => a.seed - b.seed);
  }

  // Returns which of the next seeds after a seed have no dot yet, each with the kind of the dot.
  listMissing(seed, count) {
    const seeds = Array.from({ length: count }, (_, i) => seed + 1 + i);
    const dots = seeds.flatMap((each) => KINDS.map((kind) => ({ kind, seed: each })));
    return dots.filter((dot) => dot.seed <= MAX_SEED && this.read(dot.kind, dot.seed) === null);
  }

  write() {
    const dots = this.list();
    const [ours, others] = KINDS.map((kind) =>
      dots
        .filter((dot) => dot.kind === kind)
        .map(({ seed, accuracy }) => ` ${seed}=${accuracy}`)
        .join(""),
    );
    return `${this.setting} with${ours} without${others}, ${dots.length} dots`;
  }
}

// Returns the dots of a line, or a text that says why the line does not count.
function readLine(line, setting, images) {
  const match = line.match(LINE);
  if (!match) return "has no dots, or not all the dots that were copied";
  if (match[1] !== setting) return "comes from a page with another setting";
  const dots = KINDS.flatMap((kind, i) =>
    [...match[2 + i].matchAll(/(\d+)=([\d.]+)/g)].map(([, seed, accuracy]) => ({
      kind,
      seed: Number(seed),
      accuracy: Number(accuracy),
    })),
  );
  if (dots.length !== Number(match[4])) return "does not have all the dots that were copied";
  const isPossible = ({ seed, accuracy }) => {
    const right = accuracy * images;
    return seed <= MAX_SEED && right <= images && Math.abs(right - Math.round(right)) < 1e-6;
  };
  const wrong = dots.find((dot) => !isPossible(dot));
  return wrong ? `has an impossible accuracy or seed: ${wrong.seed}` : dots;
}

// Reads the lines of a class. images: the number of images on which accuracies are measured.
// Returns the dots, each once, how many were there already, and the lines that do not count, each
// with its number in the text and the reason.
export function readLines(text, setting, images) {
  const dots = new Map();
  const refused = [];
  let count = 0;
  const take = (line, number) => {
    const found = readLine(line, setting, images);
    if (typeof found === "string") {
      refused.push({ line, number, reason: found });
      return;
    }
    const other = found.find((dot) => (dots.get(idOf(dot)) ?? dot).accuracy !== dot.accuracy);
    if (other) {
      const reason = `has another accuracy for ${nameDot(other)}, than a line above`;
      refused.push({ line, number, reason });
      return;
    }
    count += found.length;
    for (const dot of found) dots.set(idOf(dot), dot);
  };
  text.split("\n").forEach((line, i) => {
    const parts = line.replace(/, \d+ dots?/g, "$&\n").split("\n"); // two lines may be glued
    for (const part of parts.filter((each) => each.trim())) take(part, i + 1);
  });
  return { dots: [...dots.values()], repeated: count - dots.size, refused };
}
