// Keeps in view what was pressed, and what answers it.
const GAP = 24; // between the two, in pixels

export const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Scrolls just so far that a drawer does not cover what was pressed, as long as the top of `whole`
// stays in view. Where a drawer does not stay on the screen by itself, as in JupyterLab, scrolls to
// it. What opens beside a picture covers nothing.
export function reveal(drawer, pressed, whole = pressed) {
  if (getComputedStyle(drawer).bottom === "auto") return;
  const behavior = isStill() ? "auto" : "smooth";
  const { top, bottom } = drawer.getBoundingClientRect();
  const isOnScreen = bottom <= innerHeight + GAP;
  if (!isOnScreen) drawer.scrollIntoView({ block: "nearest", behavior });
  const covered = pressed.getBoundingClientRect().bottom + GAP - top;
  const { scrollPaddingTop } = getComputedStyle(document.documentElement); // below a bar
  const room = whole.getBoundingClientRect().top - (Number.parseFloat(scrollPaddingTop) || 0);
  if (isOnScreen && covered > 0) scrollBy({ top: Math.max(0, Math.min(covered, room)), behavior });
}
