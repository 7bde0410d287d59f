// Shows in the bar of a lesson which stop the reader has reached.

const bar = document.querySelector(".lesson-bar");
const links = [...bar.querySelectorAll("a")];
const headings = links.map(({ hash }) => document.querySelector(`${hash} h2`));

// A stop begins when its heading reaches the upper third of the screen below the bar.
function showPlace() {
  const { bottom } = bar.getBoundingClientRect();
  const line = bottom + (window.innerHeight - bottom) / 3;
  const begun = headings.filter((heading) => heading.getBoundingClientRect().top < line);
  links.forEach((link, i) => {
    if (i === Math.max(begun.length, 1) - 1) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  });
}

window.addEventListener("scroll", showPlace, { passive: true });
showPlace();
