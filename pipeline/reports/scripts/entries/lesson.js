// Shows in the bar of a lesson at which stop the reader is.

const links = [...document.querySelectorAll(".lesson-bar a")];
const stops = links.map(({ hash }) => document.getElementById(hash.slice(1)));

function showPlace() {
  const begun = stops.filter((stop) => stop.getBoundingClientRect().top < window.innerHeight / 2);
  links.forEach((link, i) => {
    if (i === Math.max(begun.length, 1) - 1) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  });
}

window.addEventListener("scroll", showPlace, { passive: true });
showPlace();
