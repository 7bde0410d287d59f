// Opens and folds pieces of a page. Every page has this script.

const CODE = ".source";
const ANSWERS = "details.answer, .prose details"; // those below cells, and those in texts

// Sets up the button that opens or folds all code and all answers. Each piece also has a fold of
// its own, which works without this script.
function setUpCode() {
  const button = document.getElementById("all-code");
  if (!button) return; // as in a lesson, which has no code
  const hasAnswers = document.querySelector("details.answer");
  const pieces = hasAnswers ? "all code and answers" : "all code";
  const folded = hasAnswers ? `${CODE}, ${ANSWERS}` : CODE;
  let isOpen = false;
  const show = () => {
    button.textContent = `${isOpen ? "Hide" : "Show"} ${pieces}`;
  };
  button.hidden = !document.querySelector("details.source");
  button.addEventListener("click", () => {
    isOpen = !isOpen;
    for (const details of document.querySelectorAll(folded)) details.open = isOpen;
    show();
  });
  show();
}

// Unfolds what the page's address leads to.
function unfoldTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let each = target; each; each = each.parentElement) {
    if (each.matches("details")) each.open = true;
  }
  target?.scrollIntoView();
}

// Answers are folded on a screen, but printed.
function setUpPrinting() {
  let folded = []; // what is to be folded again
  const setOpen = (isOpen) => {
    for (const details of folded) details.open = isOpen;
  };
  window.addEventListener("beforeprint", () => {
    folded = document.querySelectorAll(`:is(${ANSWERS}):not([open])`);
    setOpen(true);
  });
  window.addEventListener("afterprint", () => setOpen(false));
}

// On a narrow screen the contents start folded, so that the page begins with what it is about.
function foldContents() {
  const contents = document.querySelector("nav details");
  if (contents && window.matchMedia("(max-width: 60rem)").matches) contents.open = false;
}

setUpCode();
setUpPrinting();
foldContents();
window.addEventListener("hashchange", unfoldTarget);
if (location.hash) unfoldTarget();
