// One button opens or folds all code; each piece also opens by itself, without this script.
const button = document.getElementById("all-code");
const what = document.querySelector(".answer") ? "all code and answers" : "all code";
[button.hidden, button.textContent] = [!document.querySelector("details.source"), `Show ${what}`];
button.addEventListener("click", () => {
  const show = button.textContent.startsWith("Show");
  document.querySelectorAll("details:is(.source, .set-up, .answer)").forEach((each) => {
    each.open = show;
  });
  button.textContent = `${show ? "Hide" : "Show"} ${what}`;
});
// What leads to the glossary opens it.
document.querySelectorAll('a[href="#glossary"]').forEach((link) => {
  link.addEventListener("click", () => {
    document.querySelector("details.glossary").open = true;
  });
});
// Set-up, answers, and where everything came from are folded on a screen, and printed.
const folded = document.querySelectorAll(":is(.origins, .set-up, .answer):not([open])");
const unfold = (open) =>
  folded.forEach((each) => {
    each.open = open;
  });
window.addEventListener("beforeprint", () => unfold(true));
window.addEventListener("afterprint", () => unfold(false));
// On a narrow screen the contents start folded, so that the page begins with what it is about.
if (window.matchMedia("(max-width: 60rem)").matches)
  document.querySelector("nav details").open = false;
// The head of a column of a sortable table sorts its rows: numbers by value, ids and words by letter.
document.querySelectorAll("table.sortable").forEach((table) => {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...head.childNodes);
    head.append(sorter);
    head.scope = "col";
    sorter.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => {
        const [x, y] = [a, b].map((row) => row.cells[column].textContent);
        return [x, y].every((text) => /^-?[\d.]+(e[-+]\d+)?$/.test(text))
          ? x - y
          : x.localeCompare(y);
      };
      const [body] = table.tBodies;
      body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
    });
  });
});
// Exercises whose answer is a number are checked here as in the notebook, by the digest of "exercise N: answer".
const digests = document.getElementById("exercises");
if (digests) {
  for (const code of document.querySelectorAll(".prose code")) {
    const number = code.textContent.match(/^exercises\.check\((\d+), /)?.[1];
    if (!number) continue;
    const field = Object.assign(document.createElement("input"), {
      size: 8,
      ariaLabel: `Answer to exercise ${number}`,
    });
    const check = Object.assign(document.createElement("button"), {
      type: "button",
      className: "action",
      textContent: "Check",
    });
    const verdict = Object.assign(document.createElement("span"), { role: "status" });
    check.addEventListener("click", () => {
      const digest = sha256(new TextEncoder().encode(`exercise ${number}: ${field.value.trim()}`));
      verdict.textContent =
        JSON.parse(digests.textContent)[number - 1] === digest.slice(0, 8)
          ? "correct"
          : "not correct";
    });
    code.after(" or here: ", field, " ", check, " ", verdict);
  }
}
// The report of a run draws and trains; what has been trained here can read, too.
const run = document.getElementById("run");
if (run) {
  const { networks, training } = JSON.parse(run.textContent);
  const add = setUpPad(document.querySelector(".drawing"), networks, training);
  showRun(document.querySelector(".training"), networks);
  const source = document.getElementById("script-network").textContent;
  if (training) {
    const root = document.querySelector(".check");
    const check = root ? setUpCheck(root, training) : () => {};
    setUpTraining(document.querySelector(".training"), training, source, (network) => {
      add(network);
      check(network);
    });
    setUpSteps(document.querySelector(".steps"), training);
  }
}
