// Tries: trainings with settings of a reader's own, in a table. Each has a link, and pasted links,
// such as those of a class, are drawn as dots.

const METRIC = "validation_accuracy"; // in a link
const DIVERGED = "diverged"; // in place of its value
const WIDTH = 690; // of a plot
const HEIGHT = 300;
const SYMBOLS = "●■▲◆"; // of groups, and in tries.html.j2

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

// Returns whether a field's value is allowed; HTML itself knows no limit that is excluded.
export function isAllowed(field) {
  const { above = -Infinity, below = Infinity, allowed } = field.dataset;
  const value = field.valueAsNumber;
  const isAtLimit = value <= Number(above) || value >= Number(below);
  field.setCustomValidity(isAtLimit ? `${field.name} must be ${allowed}.` : "");
  return field.checkValidity();
}

// The settings that are not the run's own.
export function findChanges(fields, settings) {
  const changed = fields.filter((field) => settings[field.name] !== Number(field.defaultValue));
  return Object.fromEntries(changed.map(({ name }) => [name, settings[name]]));
}

// In words: learning_rate 0.01, seed 3.
export const describe = (settings) =>
  Object.entries(settings)
    .map((pair) => pair.join(" "))
    .join(", ");

// Reads the fragment of an address, such as learning_rate=0.01&seed=3&validation_accuracy=0.812.
export function readFragment(fields, fragment) {
  const parts = { settings: {}, refused: {}, reported: "" };
  for (const [name, value] of new URLSearchParams(fragment)) {
    const field = fields.find((each) => each.name === name)?.cloneNode();
    if (field) field.value = value;
    if (name === METRIC) parts.reported = value === DIVERGED ? value : Number(value);
    else if (field?.value && isAllowed(field)) parts.settings[name] = field.valueAsNumber;
    else if (value) parts.refused[name] = value;
  }
  return parts;
}

const isAccuracy = (value) => value === DIVERGED || (value >= 0 && value <= 1);

// Reads the links of tries in a text, several a line if need be; counts the lines without one.
function readLinks(fields, text) {
  const tries = new Map(); // by their changes in words, so that equal ones count once
  let unread = 0;
  for (const line of text.split("\n").filter((each) => each.trim())) {
    const links = [...line.replaceAll("&amp;", "&").matchAll(/#([\w=&.+%-]*\w)/g)]
      .map(([, fragment]) => readFragment(fields, fragment))
      .filter(({ reported, refused }) => isAccuracy(reported) && !describe(refused));
    if (links.length === 0) unread++;
    for (const { settings, reported } of links) {
      for (const { name, defaultValue } of fields) settings[name] ??= Number(defaultValue);
      const changes = describe(findChanges(fields, settings));
      if (!tries.has(changes)) tries.set(changes, { settings, reported });
    }
  }
  return [tries, unread];
}

// The tries by the value of a parameter; they are one group if there is no such parameter.
const groupTries = (tries, name) =>
  [...Map.groupBy(tries, ({ settings }) => settings[name] ?? "all")].sort(([a], [b]) => a - b);

// The parameters that differ: the one first whose second largest group has the most tries, and the
// seed last.
function rankDifferences(tries) {
  const sizes = {};
  for (const name of Object.keys(tries[0].settings)) {
    const groups = groupTries(tries, name).map(([, members]) => members.length);
    const [, second] = groups.sort((a, b) => b - a);
    if (second) sizes[name] = name === "seed" ? 0 : second;
  }
  return Object.keys(sizes).sort((a, b) => sizes[b] - sizes[a]);
}

// The mean, and its standard error, which is not known from one try.
function summarise(members) {
  const add = (sum, value) => sum + value;
  const accuracies = members.map(({ reported }) => reported);
  const mean = accuracies.reduce(add) / members.length;
  const squares = accuracies.map((accuracy) => (accuracy - mean) ** 2).reduce(add);
  return [mean, Math.sqrt(squares / (members.length - 1) / members.length)];
}

// Names the five lines of a plot's grid. Returns what finds the height of an accuracy. The tries are
// sorted.
function nameGrid(svg, tries) {
  const findBottom = (step) => step * Math.floor(tries[0].reported / step);
  let step = 0.01;
  while (findBottom(step) + 4 * step < tries.at(-1).reported) step += 0.01;
  const bottom = findBottom(step);
  for (const [i, text] of svg.querySelectorAll(".tick").entries()) {
    text.textContent = (bottom + i * step).toFixed(2);
  }
  return (accuracy) => HEIGHT * (1 - (accuracy - bottom) / (4 * step));
}

function addElement(parent, name, attributes, text = "") {
  const element = parent.appendChild(document.createElementNS(parent.namespaceURI, name));
  for (const pair of Object.entries(attributes)) element.setAttribute(...pair);
  element.append(text);
  return element;
}

class Tries {
  constructor(root, fields, train) {
    this.root = root;
    this.fields = fields;
    this.train = train;
    this.isInPage = !root.closest(".live-panel"); // a notebook's address is another's
    this.pasted = new Map();
  }

  part(name) {
    return this.root.querySelector(`.${name}`);
  }

  // Adds a training to the table, the latest first. ending: "", "stopped" or "diverged". Returns
  // its number, and how it compares with what was reported of it.
  add(settings, { epoch, validation, validationError }, ending, seconds) {
    const changes = findChanges(this.fields, settings);
    const words = describe(changes);
    const reported = ending === DIVERGED ? ending : validation;
    const row = this.part("tries tbody").insertRow(0);
    const number = row.parentElement.rows.length;
    const metrics = [validationError, validation].map((value) =>
      value >= 0 && reported === validation ? value.toFixed(4) : "-",
    );
    const cells = [number, words || "nothing", `${epoch}${ending && `, ${ending}`}`, ...metrics];
    for (const cell of [...cells, `${seconds.toFixed(1)} s`]) row.insertCell().append(cell);
    const href = `#${new URLSearchParams({ ...changes, [METRIC]: reported })}`;
    if (this.isInPage) addElement(row.insertCell(), "a", { href }, "link");
    this.part("own-tries").hidden = false;
    return { number, remark: this.check(words, reported) };
  }

  // Copies the links; where the clipboard is not allowed, they are at least selected.
  copy() {
    const page = location.href.replace(/^file:.*\/|#.*/g, "");
    const links = [...this.root.querySelectorAll(".tries a")].map(({ hash }) => page + hash);
    const field = this.part("to-copy");
    field.hidden = false;
    field.value = links.reverse().join("\n");
    field.select();
    const say = (text) => this.part("copied").replaceChildren(text);
    say("Copy what is selected:");
    navigator.clipboard?.writeText(field.value).then(
      () => say("Copied."),
      () => {},
    );
  }

  async addFiles(files) {
    for (const file of files) this.part("links").value += `\n${await file.text()}`;
    this.showPasted();
  }

  showPasted() {
    const [pasted, unread] = readLinks(this.fields, this.part("links").value);
    this.pasted = pasted;
    this.part("reading").textContent =
      `${count(pasted.size, "try", "tries")}, as reported. ` +
      (unread ? `${count(unread, "line has", "lines have")} no link of a try.` : "");
    this.part("one-by-one").replaceChildren();
    for (const [changes, each] of pasted) {
      each.words = `${changes || "nothing changed"}: ${each.reported}`;
      each.elements = [];
      const button = { type: "button", class: "action one-try" };
      this.offer(each, addElement(this.part("one-by-one"), "button", button, each.words));
    }
    const tries = [...pasted.values()].filter(({ reported }) => reported !== DIVERGED);
    this.part("pasted").hidden = tries.length === 0;
    if (tries.length) this.draw(tries.sort((a, b) => a.reported - b.reported));
  }

  // Lets a button or a dot train a try again.
  offer(each, element) {
    element.addEventListener("click", () => this.train(each.settings));
    each.elements.push(element);
  }

  draw(tries) {
    const names = rankDifferences(tries);
    const [grouped] = names.filter((name) => name !== "seed");
    const across = names.find((name) => name !== grouped) ?? grouped ?? "seed";
    const groups = groupTries(tries, grouped);
    const lines = groups.map(([value, members], i) => {
      for (const each of members) each.symbol = i % SYMBOLS.length;
      const [mean, error] = summarise(members);
      const spread = members.length > 1 ? ` ± ${error.toFixed(4)}` : "";
      const size = count(members.length, "try", "tries");
      return `${SYMBOLS[i % SYMBOLS.length]} ${value}: mean ${mean.toFixed(4)}${spread}, ${size}`;
    });
    this.part("grouped").textContent = grouped ?? "nothing";
    this.part("across").textContent = across;
    this.part("groups").textContent = lines.join("\n");
    this.drawColumns(this.part("first-plot"), groups, tries, true);
    this.drawColumns(this.part("second-plot"), groupTries(tries, across), tries, false);
  }

  // Draws the tries in a column for each value, evenly spaced, with an error bar beside it.
  drawColumns(svg, columns, tries, hasMeans) {
    const findY = nameGrid(svg, tries);
    const plot = svg.querySelector(".columns");
    plot.replaceChildren();
    const space = WIDTH / columns.length;
    for (const [i, [value, members]] of columns.entries()) {
      const x = space * (i + 0.5);
      const isNamed = columns.length < 6 || i === 0 || i === columns.length - 1;
      if (isNamed) addElement(plot, "text", { x, y: HEIGHT + 32 }, value);
      const aside = members.length > 1 ? Math.min(14, space / 6) : 0; // to see equal ones apart
      for (const [k, each] of members.entries()) {
        this.addDot(plot, each, x + aside * ((k % 5) - 2), findY(each.reported));
      }
      if (!hasMeans) continue;
      const [mean, error] = summarise(members);
      const half = findY(0) - findY(error || 0);
      const start = `M${x + 3 * aside} ${findY(mean)}`;
      addElement(plot, "path", { class: "mean", d: `${start}h24m-12-${half}v${2 * half}` });
    }
  }

  addDot(plot, each, x, y) {
    const place = `translate(${x} ${y})`;
    const attributes = { class: `dot symbol-${each.symbol}`, href: `#symbol-${each.symbol}` };
    const dot = addElement(plot, "use", { ...attributes, transform: place });
    addElement(dot, "title", {}, each.words);
    this.offer(each, dot);
  }

  // Says whether a training has the accuracy that was reported of it, and marks its dots.
  check(changes, here) {
    const each = this.pasted.get(changes);
    if (!each) return "";
    const isEqual = each.reported === here;
    for (const { dataset } of each.elements) dataset.verdict = isEqual ? "equal" : "NOT equal";
    if (isEqual) return `Equal to what was reported: ${here}. `;
    return `NOT equal to what was reported: ${each.reported} there, ${here} here. `;
  }
}

// Sets up the tries in `root`, which has training.html.j2. In a page they have links, and those of
// others can be pasted. train: takes settings, and trains with them.
export function setUpTries(root, fields, train) {
  const tries = new Tries(root, fields, train);
  const listen = (name, type, act) => tries.part(name)?.addEventListener(type, act);
  listen("copy", "click", () => tries.copy());
  listen("links", "input", () => tries.showPasted());
  listen("links-file", "change", ({ target }) => tries.addFiles(target.files));
  return tries;
}
