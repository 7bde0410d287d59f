// What every page does: it opens and folds its pieces.

const CODE = ".source, .set-up";
const ANSWERS = ".answer, .prose details"; // an answer has its reading folded, too

// One button opens or folds all code, and all answers unless these wait for predictions; each piece
// also opens by itself, without this script.
function setUpCode() {
  const button = document.getElementById("all-code");
  if (!button) return; // as in a lesson, which has no code
  const hasAnswers = document.querySelector(".answer") && !document.querySelector(".sheet");
  const pieces = hasAnswers ? "all code and answers" : "all code";
  const folded = hasAnswers ? `${CODE}, ${ANSWERS}` : CODE;
  button.hidden = !document.querySelector("details.source");
  button.textContent = `Show ${pieces}`;
  button.addEventListener("click", () => {
    const isOpening = button.textContent.startsWith("Show");
    for (const details of document.querySelectorAll(folded)) {
      details.open = isOpening;
    }
    button.textContent = `${isOpening ? "Hide" : "Show"} ${pieces}`;
  });
}

// What leads to the glossary opens it.
function setUpGlossary() {
  for (const link of document.querySelectorAll('a[href="#glossary"]')) {
    link.addEventListener("click", () => {
      document.querySelector("details.glossary").open = true;
    });
  }
}

// Set-up, answers, the glossary, and where everything came from are folded on a screen, and printed.
function setUpPrinting() {
  let folded = []; // what is to be folded again
  const setOpen = (isOpen) => {
    for (const details of folded) details.open = isOpen;
  };
  window.addEventListener("beforeprint", () => {
    // An answer that waits for a prediction stays shut.
    const kinds = `:is(.origins, .glossary, .set-up, ${ANSWERS})`;
    folded = document.querySelectorAll(`${kinds}:not([open], .locked)`);
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
setUpGlossary();
setUpPrinting();
foldContents();
