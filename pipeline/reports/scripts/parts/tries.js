// Tries: trainings with settings of a reader's own, in a table. Each has a link, and pasted links,
// such as those of a class, are drawn as dots.

import { addElement, count, Section } from "../show/dom.js";
import { drawAxis, findAxis } from "../show/plot.js";
import { keep, readKept } from "./store.js";

const METRIC = "validation_accuracy"; // in a link
const DIVERGED = "diverged"; // in place of its value
const WIDTH = 690; // of a plot
const HEIGHT = 300;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SYMBOLS = "●■▲◆"; // of groups, and in tries.html.j2

const UNCHANGED = "nothing changed";
const KINDS = { 0: "corrected", 1: "with the slip" }; // of relu_grad_inactive

// The number in a field, which is a text; NaN if it is none.
export const numberIn = ({ value }) => (DECIMAL.test(value.trim()) ? Number(value) : NaN);

// Says why a field's value is not allowed, or nothing.
function findFault(field) {
  const { min, max, above, below, step, allowed } = field.dataset;
  const value = numberIn(field);
  const point = field.value.trim().replace(",", ".");
  if (step !== "1" && Number.isNaN(value) && DECIMAL.test(point)) {
    return `${field.name} is ${field.value}. A decimal is written with a point: ${point}.`;
  }
  const isWrong =
    Number.isNaN(value) ||
    value < min ||
    value > max ||
    value <= above ||
    value >= below ||
    (step === "1" && !Number.isInteger(value));
  return isWrong ? `${field.name} must be ${allowed}.` : "";
}

// Returns whether a field's value is allowed; if not, the field keeps the reason.
export function isAllowed(field) {
  field.setCustomValidity(findFault(field));
  return field.checkValidity();
}

// The settings that are not the run's own.
export function findChanges(fields, settings) {
  const changed = fields.filter((field) => settings[field.name] !== Number(field.dataset.run));
  return Object.fromEntries(changed.map(({ name }) => [name, settings[name]]));
}

// All settings, of which some are not the run's own.
function complete(fields, changes) {
  const pairs = fields.map(({ name, dataset }) => [name, Number(dataset.run)]);
  return { ...Object.fromEntries(pairs), ...changes };
}

// In words: learning_rate 0.01, seed 3.
export const describe = (settings) =>
  Object.entries(settings)
    .map((pair) => pair.join(" "))
    .join(", ");

// Reads the fragment of an address, such as learning_rate=0.01&seed=3&validation_accuracy=0.812.
export function readFragment(fields, fragment) {
  const parts = { settings: {}, refused: {}, reported: null };
  for (const [name, value] of new URLSearchParams(fragment)) {
    const field = fields.find((each) => each.name === name)?.cloneNode(true);
    if (field) field.value = value;
    if (name === METRIC) parts.reported = value === DIVERGED ? value : parseFloat(value);
    else if (field?.value && isAllowed(field)) parts.settings[name] = numberIn(field);
    else if (value) parts.refused[name] = value;
  }
  return parts;
}

// A try in words: seed 3: 0.812.
const nameTry = ({ changes, reported }) => `${changes || UNCHANGED}: ${reported}`;

const isAccuracy = (value) => value === DIVERGED || (value >= 0 && value <= 1);

// Reads the links of tries in a text, several a line if need be. Returns the tries by their
// changes, so that equal settings count once, the number of lines that have none or a wrong one,
// and the changes of tries that have several accuracies.
function readLinks(fields, text) {
  const tries = new Map();
  const doubtful = new Set();
  let unread = 0;
  for (const line of text.split("\n").filter((each) => each.trim())) {
    const links = [...line.matchAll(/#([\w=&.+%-]*\w)/g)]
      .map(([, fragment]) => readFragment(fields, fragment))
      .filter(({ reported }) => reported !== null);
    const isWrong = ({ reported, refused }) => !isAccuracy(reported) || describe(refused);
    if (links.length === 0 || links.some(isWrong)) unread++;
    for (const { settings, reported } of links.filter((each) => !isWrong(each))) {
      const all = complete(fields, settings);
      const changes = describe(findChanges(fields, all));
      if (!tries.has(changes)) tries.set(changes, { changes, settings: all, reported });
      else if (tries.get(changes).reported !== reported) doubtful.add(changes);
    }
  }
  return [tries, unread, doubtful.size];
}

// The tries by the value of a parameter; they are one group if there is no such parameter. A group
// has the mean, and its standard error, which is not known from one try.
function groupTries(tries, name) {
  const add = (sum, value) => sum + value;
  const groups = new Map();
  for (const each of tries) {
    const value = each.settings[name] ?? "all";
    groups.set(value, [...(groups.get(value) ?? []), each]);
  }
  const sorted = [...groups].sort(([a], [b]) => a - b);
  return sorted.map(([value, members]) => {
    const size = members.length;
    const mean = members.map(({ reported }) => reported).reduce(add) / size;
    const squares = members.map(({ reported }) => (reported - mean) ** 2).reduce(add);
    const error = size > 1 ? Math.sqrt(squares / (size - 1) / size) : 0;
    return { value, members, size, mean, error };
  });
}

// The value of a parameter in words.
const nameValue = (name, value) => (name === "relu_grad_inactive" && KINDS[value]) || value;

// In words: ● 0: mean 0.7512 ± 0.0105, 20 tries, corrected.
function describeGroup(name, { value, members, size, mean, error }) {
  const range = size > 1 ? ` ± ${error.toFixed(4)}` : "";
  const words = nameValue(name, value);
  const kind = words === value ? "" : `, ${words}`;
  const numbers = `mean ${mean.toFixed(4)}${range}, ${count(size, "try", "tries")}${kind}`;
  return `${SYMBOLS[members[0].symbol]} ${value}: ${numbers}`;
}

// The parameters that differ, but for the seed: the one first whose second largest group has the
// most tries.
function rankDifferences(tries) {
  const findSecond = (name) => {
    const sizes = groupTries(tries, name).map(({ size }) => size);
    return sizes.sort((a, b) => b - a)[1];
  };
  return Object.keys(tries[0].settings)
    .filter((name) => name !== "seed" && findSecond(name))
    .sort((a, b) => findSecond(b) - findSecond(a));
}

class Tries extends Section {
  constructor(root, fields, train, digest) {
    super(root);
    this.fields = fields;
    this.train = train;
    this.isInPage = !root.closest(".live-panel"); // a notebook's address is another's
    this.name = `tries of ${digest}`; // of what is kept
    this.own = []; // the trainings made here
    this.pasted = new Map(); // those of others, by their changes in words
    this.shown = this.pasted; // all of them
    this.verdict = null; // where it stands, once a try has been trained again
    this.linked = {}; // the settings of a link that has been opened
    this.notices = []; // the places that say them
  }

  // Makes a place at the top of the page beside the one where one trains.
  setUpLink(notice) {
    const first = notice.cloneNode();
    first.className = "link-notice";
    document.querySelector("main").prepend(first);
    this.notices = [first, notice];
    for (const field of this.fields) field.addEventListener("input", () => this.showLink());
  }

  // Says which settings are those of a link, as long as the fields have them.
  showLink(settings = this.linked) {
    const hold = ([name, value]) =>
      this.fields.some((f) => f.name === name && numberIn(f) === value);
    this.linked = Object.fromEntries(Object.entries(settings).filter(hold));
    const words = describe(this.linked);
    const text = words ? `From the link: ${words}. “Train with these” uses it.` : "";
    for (const notice of this.notices) notice.textContent = text;
  }

  // Adds a training. ending: "", "stopped" or "diverged". Returns its number, and how it compares
  // with what was reported of it.
  add(settings, { epoch, validation, validationError }, ending, seconds) {
    const changes = findChanges(this.fields, settings);
    const reported = ending === DIVERGED ? ending : validation;
    this.own.push({ changes, reported, epoch, validationError, ending, seconds });
    if (this.isInPage) keep(this.name, this.own);
    this.addRow(this.own.at(-1));
    const remark = this.check(describe(changes), reported);
    this.verdict?.replaceChildren(remark);
    this.showDots();
    return { number: this.own.length, remark };
  }

  // Shows what was kept of earlier visits.
  restore() {
    this.own = readKept(this.name) ?? [];
    for (const each of this.own) this.addRow(each);
    this.showDots();
  }

  forget() {
    if (!window.confirm("Forget these tries?")) return;
    this.own = [];
    keep(this.name, this.own);
    this.part("tries tbody").replaceChildren();
    this.part("own-tries").hidden = true;
    this.showDots();
  }

  // Adds a row to the table, the latest first.
  addRow({ changes, reported, epoch, validationError, ending, seconds }) {
    const row = this.part("tries tbody").insertRow(0);
    const number = row.parentElement.rows.length;
    const format = (value) => (Number.isFinite(value) ? value.toFixed(4) : "-");
    const cells = [
      number,
      format(reported),
      describe(changes) || "nothing",
      `${epoch}${ending && `, ${ending}`}`,
      format(validationError),
      `${seconds.toFixed(1)} s`,
    ];
    if (this.isInPage) cells.push("");
    const heads = this.root.querySelectorAll(".tries th");
    for (const [i, text] of cells.entries()) {
      const cell = row.insertCell();
      cell.dataset.label = heads[i].textContent;
      cell.append(text);
    }
    const href = `#${new URLSearchParams({ ...changes, [METRIC]: reported })}`;
    if (this.isInPage) addElement(row.lastChild, "a", { href }, "link");
    this.part("own-tries").hidden = false;
  }

  // Copies the links; where the clipboard is not allowed, they are at least selected.
  copy() {
    const page = location.href.replace(/^file:.*\/|#.*/g, "");
    const links = [...this.root.querySelectorAll(".tries a")].map(({ hash }) => page + hash);
    const field = this.part("to-copy");
    field.hidden = false;
    field.value = links.reverse().join("\n");
    field.select();
    const state = this.part("copied");
    state.textContent = "Copy what is selected:";
    const copying = navigator.clipboard?.writeText(field.value);
    copying?.then(() => state.replaceChildren("Copied.")).catch(() => {});
  }

  async addFiles(files) {
    for (const file of files) this.part("links").value += `\n${await file.text()}`;
    this.showPasted();
  }

  showPasted() {
    const [pasted, unread, doubtful] = readLinks(this.fields, this.part("links").value);
    const sentences = [`${count(pasted.size, "try", "tries")}, as reported.`];
    if (unread) {
      sentences.push(
        `${count(unread, "line has", "lines have")} no link of a try, or a wrong one.`,
      );
    }
    if (doubtful) {
      const several = count(doubtful, "try is", "tries are");
      sentences.push(`${several} reported with several accuracies; the first of them counts.`);
    }
    this.pasted = pasted;
    this.write("reading", sentences.join(" "));
    this.part("one-by-one").replaceChildren();
    for (const each of pasted.values()) {
      const button = { type: "button", class: "action one-try" };
      each.button = addElement(this.part("one-by-one"), "button", button, nameTry(each));
      this.offer(each, each.button);
    }
    this.part("again-hint").hidden = pasted.size === 0;
    this.showDots();
  }

  // Draws all tries with an accuracy; of equal settings the pasted try, which is to be checked.
  showDots() {
    if (!this.part("dots")) return; // as in a page without validation images
    const own = this.own.map(({ changes, reported }) => {
      const words = describe(changes);
      return [words, { changes: words, settings: complete(this.fields, changes), reported }];
    });
    this.shown = new Map([...own, ...this.pasted]);
    const drawn = [...this.shown.values()].filter(({ reported }) => reported !== DIVERGED);
    this.part("dots").hidden = drawn.length === 0;
    if (drawn.length) this.draw(drawn.sort((a, b) => a.reported - b.reported));
  }

  // Lets a button or a dot train a try again, while it stays where it is on the screen.
  offer({ changes, settings }, element) {
    element.addEventListener("click", () => {
      const { top } = element.getBoundingClientRect();
      this.verdict = this.part("verdict");
      this.verdict.textContent = `Training ${changes || UNCHANGED} again.`;
      this.train(settings);
      scrollBy(0, element.getBoundingClientRect().top - top);
    });
  }

  // Draws tries, which are sorted.
  draw(tries) {
    const [first, second = "seed"] = rankDifferences(tries);
    const groups = groupTries(tries, first);
    groups.forEach(({ members }, i) => {
      for (const each of members) each.symbol = i % SYMBOLS.length;
    });
    this.write("grouped", first ? `By ${first}` : "All tries");
    this.write("across", `Over ${second}`);
    this.write("groups", groups.map((each) => describeGroup(first, each)).join("\n"));
    const axis = findAxis(tries[0].reported, tries.at(-1).reported);
    this.drawColumns(this.part("first-plot"), first, groups, axis, true);
    this.drawColumns(this.part("second-plot"), second, groupTries(tries, second), axis, false);
  }

  // Draws the tries in a column for each value, evenly spaced, with an error bar beside it.
  drawColumns(svg, name, columns, axis, hasMeans) {
    const findY = drawAxis(svg.querySelector(".grid"), axis, WIDTH, HEIGHT);
    const plot = svg.querySelector(".columns");
    plot.replaceChildren();
    const space = WIDTH / columns.length;
    for (const [i, { value, members, size, mean, error }] of columns.entries()) {
      const x = space * (i + 0.5);
      const isNamed = columns.length < 6 || i === 0 || i === columns.length - 1;
      if (isNamed) addElement(plot, "text", { x, y: HEIGHT + 32 }, nameValue(name, value));
      const aside = size > 1 ? Math.min(14, space / 6) : 0; // to see equal ones apart
      for (const [k, each] of members.entries()) {
        const place = (k % 5) - (Math.min(size, 5) - 1) / 2;
        this.addDot(plot, each, x + aside * place, findY(each.reported));
      }
      if (!hasMeans || size === 1) continue;
      const half = findY(0) - findY(error);
      const start = `M${x + 3 * aside} ${findY(mean)}`;
      addElement(plot, "path", { class: "mean", d: `${start}h24m-12-${half}v${2 * half}` });
    }
  }

  addDot(plot, each, x, y) {
    const symbol = `symbol-${each.symbol}`;
    const place = { href: `#${symbol}`, transform: `translate(${x} ${y})` };
    const dot = addElement(plot, "use", { class: `dot ${symbol}`, ...place });
    addElement(dot, "title", {}, nameTry(each));
    if (each.verdict) dot.dataset.verdict = each.verdict;
    this.offer(each, dot);
  }

  // Says whether a training has the accuracy of an equal try before, and marks what was pasted.
  check(changes, here) {
    const each = this.shown.get(changes);
    if (!each) return "";
    const isEqual = each.reported === here;
    if (!each.button) return isEqual ? `Equal to your try before: ${here}. ` : "";
    each.verdict = isEqual ? "equal" : "NOT equal";
    each.button.dataset.verdict = each.verdict;
    if (isEqual) return `Equal to what was reported: ${here}. `;
    return `NOT equal to what was reported: ${each.reported} there, ${here} here. `;
  }
}

// Sets up the tries in `root`, which has tries.html.j2. In a page they have links, and those of
// others can be pasted. train: takes settings, and trains with them. digest: of the run's weights.
export function setUpTries(root, fields, train, digest) {
  const tries = new Tries(root, fields, train, digest);
  if (tries.isInPage) tries.restore();
  tries.on("forget-tries", "click", () => tries.forget());
  tries.on("copy", "click", () => tries.copy());
  tries.on("links", "input", () => tries.showPasted());
  tries.on("links-file", "change", ({ target }) => tries.addFiles(target.files));
  return tries;
}
