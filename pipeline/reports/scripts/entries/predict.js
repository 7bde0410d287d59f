// Asks for a prediction before an answer opens, in the page of a lesson. What was predicted is kept
// in the browser, and stands at the end on a sheet, beside what came out.
import { make } from "../show/dom.js";

const KEY = `digits-by-hand: ${document.title}`; // in the browser's storage

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

const findChoices = (answer) => answer.closest(".cell").previousElementSibling.querySelector("ul");

// The small network or the step above a question, whose update shows what is asked.
function findFigure(answer) {
  const figures = [...answer.closest("section").querySelectorAll(".live, .steps")];
  const isAbove = (figure) =>
    figure.compareDocumentPosition(answer) & Node.DOCUMENT_POSITION_FOLLOWING;
  return figures.filter(isAbove).at(-1);
}

// One question with its choices, the answer, and a row of the sheet.
class Prediction {
  constructor(answer, row, changed) {
    this.answer = answer;
    this.row = row;
    this.changed = changed; // is called when there is something to keep
    this.name = row.dataset.question;
    this.summary = answer.querySelector("summary");
    this.hint = make("p", { class: "note hint", role: "status" });
    const buttons = [...(findFigure(answer)?.querySelectorAll("button") ?? [])];
    this.update = buttons.find(({ textContent }) => textContent.trim() === "Update");
    this.skip = make("button", { type: "button", class: "action" }, "Show me without a guess");
    this.skip
      .addEventListener("click", () => this.openWithoutGuess());
    this.isOpened = false;
    this.choices = this.makeChoices(findChoices(answer));
    this.lock();
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

  // The answer opens, and its update is made, after a prediction.
  lock() {
    const beforeOthers = { capture: true };
    this.update?.addEventListener("click", (event) => this.refuse(event, "below"), beforeOthers);
    this.summary.addEventListener("click", (event) => {
      this.refuse(event, "above");
      if (!this.isLocked && !this.isOpened) {
        this.isOpened = true;
        this.change();
      }
    });
  }

  refuse(event, where) {
    if (!this.isLocked) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    event.currentTarget.parentElement.after(this.hint);
    this.hint.replaceChildren(`Choose your prediction first, ${where}. `, this.skip);
  }

  openWithoutGuess() {
    this.isOpened = true;
    this.answer.open = true;
    this.change();
    this.summary.focus();
  }

  change() {
    this.show();
    this.changed();
  }

  show() {
    if (!this.isLocked) this.hint.textContent = "";
    for (const choice of this.choices) choice.disabled = this.isOpened;
    this.answer.classList.toggle("locked", this.isLocked);
    this.update?.setAttribute("aria-disabled", this.isLocked);
    const [predicted, result] = this.row.querySelectorAll("td");
    predicted.replaceChildren(...this.describePrediction());
    result.replaceChildren(...(this.isOpened ? this.describeResult() : []));
  }

  describePrediction() {
    const choice = this.choices[this.chosen];
    if (choice) return choice.nextElementSibling.cloneNode(true).childNodes;
    return [this.isOpened ? "shown without a guess" : ""];
  }

  // Which choice is right, and why.
  describeResult() {
    return this.answer.querySelector(".came-out").cloneNode(true).childNodes;
  }
}

// The guess that the training asks for, before the slip is corrected, and its row of the sheet.
class SlipGuess {
  constructor(row, changed) {
    this.name = row.dataset.question;
    this.cells = row.querySelectorAll("td");
    document.addEventListener("guess", ({ detail }) => {
      this.state = detail;
      changed();
    });
  }

  get state() {
    const [guessed, outcome] = [...this.cells].map(({ textContent }) => textContent);
    return { guessed, outcome };
  }

  set state({ guessed = "", outcome = "" }) {
    this.cells[0].textContent = guessed;
    this.cells[1].textContent = outcome;
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
  const person = sheet.querySelector(".name input");
  const keepAll = () => {
    const states = predictions.map(({ name, state }) => [name, state]);
    keep({ person: person.value, ...Object.fromEntries(states) });
  };
  const predictions = [...rows].map((row) => {
    const answer = document.querySelector(`.answer[data-question="${row.dataset.question}"]`);
    return answer ? new Prediction(answer, row, keepAll) : new SlipGuess(row, keepAll);
  });
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
