// Asks for a prediction before an answer opens, in the page of a lesson. What was predicted is kept
// in the browser, and stands at the end on a sheet, beside what came out.
import { keep, readKept } from "../parts/store.js";
import { make, makeButton } from "../show/dom.js";

const NAME = document.title; // of what is kept
const MARKS = { true: "✓ right", false: "✗ wrong" }; // of a prediction

const findChoices = (answer) => answer.closest(".cell").previousElementSibling.querySelector("ul");

// The small network or the step above a question, whose update shows what is asked.
function findFigure(answer) {
  const figures = [...answer.closest("section").querySelectorAll(".live, .steps")];
  const isAbove = (figure) =>
    figure.compareDocumentPosition(answer) & Node.DOCUMENT_POSITION_FOLLOWING;
  return figures.filter(isAbove).at(-1);
}

const copyOf = (element) => element.cloneNode(true).childNodes;

// Fills in a row of the sheet: the prediction, what came out, and the mark.
function fillRow(row, contents) {
  row.querySelectorAll("td").forEach((cell, i) => {
    cell.replaceChildren(...contents[i]);
  });
}

// One question with its choices, the answer, and a row of the sheet.
class Prediction {
  constructor(answer, row, changed) {
    this.answer = answer;
    this.row = row;
    this.changed = changed; // is called when there is something to keep
    this.name = row.dataset.question;
    this.place = `predict-${this.name}`; // to which links lead
    this.isOpened = false;
    this.choices = this.makeChoices(findChoices(answer));
    const skip = () => this.openWithoutGuess();
    this.skip = makeButton("Show me without a guess", skip, { class: "action" });
    const buttons = [...(findFigure(answer)?.querySelectorAll("button") ?? [])];
    this.update = buttons.find(({ textContent }) => textContent.trim() === "Update");
    this.waits = this.update && this.lock(this.update, "below");
    this.summary = answer.querySelector("summary");
    this.refusal = this.lock(this.summary, "above");
    this.summary.addEventListener("click", () => {
      if (!this.isOpened) this.open();
    });
  }

  makeChoices(list) {
    const question = list.previousElementSibling;
    const about = `about-${this.place}`;
    const labelled = { id: this.place, "aria-labelledby": about };
    const fields = make("fieldset", { class: "prediction", ...labelled });
    question.id = about;
    question.before(fields);
    fields.append(question, list);
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

  // What has been opened is kept as it was predicted.
  get state() {
    return { chosen: this.chosen, isOpened: this.isOpened };
  }

  set state({ chosen = -1, isOpened = false }) {
    this.choices.forEach((choice, i) => {
      choice.checked = i === chosen;
    });
    this.isOpened = isOpened;
    this.answer.open = false;
    this.show();
  }

  get isLocked() {
    return this.chosen < 0 && !this.isOpened;
  }

  // Lets a button act after a prediction only. Returns the place beside it that says so.
  lock(button, where) {
    const hint = make("p", { class: "note hint", role: "status" });
    button.parentElement.after(hint);
    const refuse = (event) => {
      if (!this.isLocked) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      const words = ["Choose ", this.linkTo("your prediction"), ` first, ${where}. `];
      hint.replaceChildren(make("strong", {}, ...words), this.skip);
    };
    button.addEventListener("click", refuse, { capture: true }); // before others
    return hint;
  }

  // What to do next, beside the update.
  describeWay() {
    if (this.isLocked) return ["Update waits for ", this.linkTo("your prediction"), "."];
    return [this.isOpened ? "" : "Now press Update, then open the answer."];
  }

  linkTo(words) {
    return make("a", { href: `#${this.place}` }, words);
  }

  open() {
    this.isOpened = true;
    this.change();
  }

  openWithoutGuess() {
    this.answer.open = true;
    this.open();
    this.summary.focus();
  }

  change() {
    this.show();
    this.changed();
  }

  show() {
    this.refusal.textContent = "";
    this.waits?.replaceChildren(...this.describeWay());
    for (const choice of this.choices) choice.disabled = this.isOpened;
    this.answer.classList.toggle("locked", this.isLocked);
    this.update?.setAttribute("aria-disabled", this.isLocked);
    const { chosen, isOpened } = this;
    const choice = this.choices[chosen];
    const isRight = chosen === Number(this.answer.dataset.right);
    fillRow(this.row, [
      choice ? copyOf(choice.nextElementSibling) : [isOpened ? "shown without a guess" : ""],
      isOpened ? copyOf(this.answer.querySelector(".came-out")) : [],
      [choice && isOpened ? MARKS[isRight] : ""],
    ]);
  }
}

// The guess that the training asks for, before the slip is corrected, and its row of the sheet.
class SlipGuess {
  constructor(row, changed) {
    this.name = row.dataset.question;
    this.row = row;
    document.addEventListener("guess", ({ detail }) => {
      this.state = detail;
      changed();
    });
  }

  get state() {
    return this.kept;
  }

  set state(kept) {
    const { guessed = "", outcome = "", isRight } = kept;
    this.kept = kept;
    fillRow(this.row, [[guessed], [outcome], [MARKS[isRight] ?? ""]]);
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
  const rows = sheet.querySelectorAll("tbody tr");
  const [person, date] = sheet.querySelectorAll(".name input");
  const keepAll = () => {
    const states = predictions.map(({ name, state }) => [name, state]);
    const all = { person: person.value, date: date.value, ...Object.fromEntries(states) };
    keep(NAME, all);
  };
  const predictions = [...rows].map((row) => {
    const answer = document.querySelector(`.answer[data-question="${row.dataset.question}"]`);
    return answer ? new Prediction(answer, row, keepAll) : new SlipGuess(row, keepAll);
  });
  const showAll = (kept) => {
    person.value = kept.person ?? "";
    date.value = kept.date ?? new Date().toLocaleDateString("sv"); // as 2026-11-30
    for (const each of predictions) each.state = kept[each.name] ?? {};
  };
  showAll(readKept(NAME) ?? {});
  for (const field of [person, date]) field.addEventListener("input", keepAll);
  sheet.querySelector(".print").addEventListener("click", printSheet);
  sheet.querySelector(".renew").addEventListener("click", () => {
    if (!window.confirm("Begin a new sheet? All that you have predicted is lost.")) return;
    showAll({});
    keepAll();
  });
  sheet.querySelector(".buttons").hidden = false;
}

setUpSheet(document.querySelector(".sheet"));
