// A dot stands for a completed training run with the page's setting. A dot has the seed of the run,
// its kind, which is with or without the slip, and its accuracy on the validation images. The
// browser keeps the reader's own dots. One line of text can hold all of them, so that the lines of
// a class can be pasted together.

import { store } from "../../../pipeline/reports/scripts/parts/store.js";

export const KINDS = ["with", "without"]; // the slip
const MAX_SEED = 2 ** 32 - 1;
// A line of dots. A messenger may wrap it, or write large letters.
const LINE =
  /(?<setting>[0-9a-f]{8})\s+with(?<with>(?:\s+\d+=[\d.]+)*)\s+without(?<without>(?:\s+\d+=[\d.]+)*),\s+(?<count>\d+)\s+dots?/gi;
const PART = /[0-9a-f]{8}\s+with\b|\d=/i; // of a line that is damaged
const DOT = /(?<seed>\d+)=(?<accuracy>[\d.]+)/g;
const COMMA = /=\d,\d/; // in place of a point
const INCOMPLETE = "not all the dots that were copied are there, so copy them again";

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

// Returns an object with the dots of a line, and with the reason why the line does not count, if
// there is one. parts: the groups of LINE.
function readLine(parts, setting, images) {
  const dots = KINDS.flatMap((kind) => readDots(kind, parts[kind]));
  if (dots.length !== Number(parts.count)) return { reason: INCOMPLETE };
  if (parts.setting.toLowerCase() !== setting) {
    return { reason: "comes from a page with another setting" };
  }
  const wrong = dots.find((dot) => !isPossible(dot, images));
  if (wrong) return { reason: `seed ${wrong.seed}, or its accuracy, is impossible` };
  return { dots };
}

// Returns the rows with parts of lines that are damaged, each with its number and the reason.
function findDamaged(text) {
  const rest = text.replace(LINE, (line) => line.replace(/./g, "")); // with the same rows
  return rest.split("\n").flatMap((row, i) => {
    const reason = COMMA.test(row) ? "decimals need a point, not a comma" : INCOMPLETE;
    return PART.test(row) ? { number: i + 1, reason } : [];
  });
}

// Reads the lines of a class. images: the number of images on which accuracies are measured.
// Returns the dots, each once, and the rows that do not count, or not wholly, each with its number
// and the reason.
export function readLines(text, setting, images) {
  const accepted = new Map(); // dots by their ids, each with the number of its row
  const refused = findDamaged(text);
  for (const { index, groups } of text.matchAll(LINE)) {
    const number = text.slice(0, index).split("\n").length;
    let { dots = [], reason } = readLine(groups, setting, images);
    for (const dot of dots) {
      const earlier = accepted.get(idOf(dot));
      if (earlier) {
        const has = earlier.accuracy === dot.accuracy ? "is also" : "has another accuracy";
        reason ??= `seed ${dot.seed} ${has} in line ${earlier.number}`;
      } else {
        accepted.set(idOf(dot), { ...dot, number });
      }
    }
    if (reason) refused.push({ number, reason });
  }
  refused.sort((a, b) => a.number - b.number);
  return { dots: [...accepted.values()], refused };
}
