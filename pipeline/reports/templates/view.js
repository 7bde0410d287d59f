// Keeps in view what was pressed, and what answers it.
const GAP = 24; // between the two, in pixels

export const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Scrolls just so far that a drawer does not cover what was pressed. Where a drawer does not stay
// on the screen by itself, as in JupyterLab, scrolls to it.
export function reveal(drawer, pressed) {
  const behavior = isStill() ? "auto" : "smooth";
  const { top, bottom } = drawer.getBoundingClientRect();
  if (bottom > innerHeight + GAP) drawer.scrollIntoView({ block: "nearest", behavior });
  const covered = pressed.getBoundingClientRect().bottom + GAP - top;
  if (covered > 0 && bottom <= innerHeight + GAP) scrollBy({ top: covered, behavior });
}
