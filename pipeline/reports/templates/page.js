// What every page does: it opens and folds its pieces.

// All that a reader may open; an answer has its reading folded, too.
const FOLDED = ".source, .set-up, .answer, .prose details";

// One button opens or folds all code; each piece also opens by itself, without this script.
function setUpCode() {
  const button = document.getElementById("all-code");
  const pieces = document.querySelector(".answer") ? "all code and answers" : "all code";
  button.hidden = !document.querySelector("details.source");
  button.textContent = `Show ${pieces}`;
  button.addEventListener("click", () => {
    const isOpening = button.textContent.startsWith("Show");
    for (const details of document.querySelectorAll(FOLDED)) {
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

// Set-up, answers, and where everything came from are folded on a screen, and printed.
function setUpPrinting() {
  const folded = document.querySelectorAll(
    ":is(.origins, .set-up, .answer, .prose details):not([open])",
  );
  const setOpen = (isOpen) => {
    for (const details of folded) details.open = isOpen;
  };
  window.addEventListener("beforeprint", () => setOpen(true));
  window.addEventListener("afterprint", () => setOpen(false));
}

// On a narrow screen the contents start folded, so that the page begins with what it is about.
function foldContents() {
  if (!window.matchMedia("(max-width: 60rem)").matches) return;
  document.querySelector("nav details").open = false;
}

setUpCode();
setUpGlossary();
setUpPrinting();
foldContents();
