// Asks for a prediction before an answer opens, in the page of a lesson. What was predicted is kept
// in the browser, and stands at the end on a sheet, beside what came out.
import { make } from "./dom.js";

const KEY = `digits-by-hand: ${document.title}`; // in the browser's storage
const CHOICE = /^\s*\(\w\)/; // how a choice in a list begins
const VERDICT = /\(\w\) is right/; // in a reading

// Reads what was kept. A browser may refuse to store anything: then nothing is kept, and all else
// works.
function readKept() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

function keep(all) {
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // A page without storage forgets when it is closed.
  }
}

// The elements of the question before an answer, from the paragraph that says "Predict" on.
function findPrompt(answer) {
  const prose = answer.closest(".cell").previousElementSibling;
  const elements = [...prose.children];
  const isPrompt = ({ firstChild: first }) =>
    first?.nodeName === "STRONG" && first.textContent === "Predict";
  return elements.slice(elements.findLastIndex(isPrompt));
}

// One question, with its choices or its words, the answer and its reading, and a row of the sheet.
class Prediction {
  constructor(answer, row, changed) {
    this.answer = answer;
    this.row = row;
    this.changed = changed; // is called when there is something to keep
    this.name = row.dataset.question;
    this.reading = answer.closest(".cell").nextElementSibling?.querySelector(":scope > details");
    this.folded = [this.answer, this.reading].filter(Boolean);
    this.hint = make("p", { class: "note hint", role: "status" });
    this.isOpened = false;
    this.ask();
    this.lock();
  }

  // Makes a choice of each list with letters, and a field for what is not in a list.
  ask() {
    const prompt = findPrompt(this.answer);
    const list = prompt.find(({ nodeName, firstElementChild: first }) => {
      return nodeName === "UL" && CHOICE.test(first.textContent);
    });
    this.choices = list ? this.makeChoices(list) : [];
    this.field = null;
    if (!list || prompt.at(-1) !== list) {
      this.field = make("textarea", { rows: 2, autocomplete: "off" });
      const words = list ? "Your second prediction" : "Your prediction";
      this.field.setAttribute("aria-describedby", this.row.querySelector("b").id);
      prompt.at(-1).after(make("label", { class: "prediction" }, words, this.field));
      this.field.addEventListener("input", () => this.change());
    }
    this.answer.after(this.hint);
  }

  makeChoices(list) {
    const about = this.row.querySelector("b").id; // the heading of the question
    const fields = make("fieldset", { class: "prediction", "aria-describedby": about });
    list.replaceWith(fields);
    fields.append(make("legend", {}, "Your prediction"), list);
    return [...list.children].map((item, i) => {
      const input = make("input", {
        type: "radio",
        name: this.name,
        value: i,
        autocomplete: "off",
      });
      const words = make("span", {}, ...item.childNodes);
      item.append(make("label", {}, input, words));
      input.addEventListener("change", () => this.change());
      return input;
    });
  }

  get chosen() {
    return this.choices.findIndex(({ checked }) => checked);
  }

  get words() {
    return this.field?.value.trim() ?? "";
  }

  get isMade() {
    return this.chosen >= 0 || this.words !== "";
  }

  // What has been opened is kept as it was predicted.
  get state() {
    return { chosen: this.chosen, words: this.words, isOpened: this.isOpened };
  }

  set state({ chosen = -1, words = "", isOpened = false }) {
    this.choices.forEach((choice, i) => {
      choice.checked = i === chosen;
    });
    if (this.field) this.field.value = words;
    this.isOpened = isOpened && this.isMade;
    for (const details of this.folded) details.open = false;
    this.show();
  }

  // The answer and its reading open after a prediction.
  lock() {
    for (const details of this.folded) {
      const summary = details.querySelector("summary");
      summary.addEventListener("click", (event) => {
        if (this.isMade) return;
        event.preventDefault();
        const how = this.choices.length ? "Choose" : "Write down";
        details.after(this.hint);
        this.hint.textContent = `${how} your prediction first, above.`;
      });
      summary.addEventListener("click", () => this.open());
    }
  }

  open() {
    if (!this.isMade || this.isOpened) return;
    this.isOpened = true;
    this.change();
  }

  change() {
    this.show();
    this.changed();
  }

  show() {
    if (this.isMade) this.hint.textContent = "";
    for (const choice of this.choices) choice.disabled = this.isOpened;
    if (this.field) this.field.readOnly = this.isOpened;
    for (const { classList } of this.folded) classList.toggle("locked", !this.isMade);
    const [predicted, result] = this.row.querySelectorAll("td");
    predicted.replaceChildren(...this.describePrediction());
    result.replaceChildren(...(this.isOpened ? this.describeResult() : []));
  }

  describePrediction() {
    const choice = this.choices[this.chosen];
    const chosen = choice ? [...choice.nextElementSibling.cloneNode(true).childNodes] : [];
    return [make("p", {}, ...chosen), make("p", {}, this.words)];
  }

  // Which choice is right, and what was computed: printed lines, or else what a picture shows.
  describeResult() {
    const [verdict = ""] = this.reading?.textContent.match(VERDICT) ?? [];
    const printed = [...this.answer.querySelectorAll("pre")];
    const pictures = [...this.answer.querySelectorAll("figcaption.numbered")];
    const shown = printed.length ? printed : pictures;
    const lines = shown.map(({ lastChild, textContent }) => {
      return printed.length ? textContent.trim() : lastChild.textContent.trim();
    });
    return [make("p", {}, make("b", {}, verdict)), make("p", { class: "lines" }, lines.join("\n"))];
  }
}

// Prints the sheet without the page around it.
function printSheet() {
  const { classList } = document.body;
  classList.add("sheet-alone");
  window.addEventListener("afterprint", () => classList.remove("sheet-alone"), { once: true });
  window.print();
}

function setUpSheet(sheet) {
  const answers = document.querySelectorAll(".answer");
  const rows = sheet.querySelectorAll("tbody tr");
  const person = sheet.querySelector(".name input");
  const keepAll = () => {
    const states = predictions.map(({ name, state }) => [name, state]);
    keep({ person: person.value, ...Object.fromEntries(states) });
  };
  const predictions = [...rows].map((row, i) => new Prediction(answers[i], row, keepAll));
  const showAll = (kept) => {
    person.value = kept.person ?? "";
    for (const each of predictions) each.state = kept[each.name] ?? {};
  };
  showAll(readKept());
  person.addEventListener("input", keepAll);
  sheet.querySelector(".print").addEventListener("click", printSheet);
  sheet.querySelector(".renew").addEventListener("click", () => {
    if (!window.confirm("Begin a new sheet? All that you have predicted is lost.")) return;
    showAll({});
    keepAll();
  });
  sheet.querySelector(".buttons").hidden = false;
}

setUpSheet(document.querySelector(".sheet"));
