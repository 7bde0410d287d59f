// Keeps in view what was pressed, and what answers it.
const GAP = 24; // between the two, in pixels

export const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Scrolls just so far that a drawer does not cover what was pressed, as long as the top of `whole`
// stays in view. Where the drawer is not on the screen, scrolls to `whole` first. What opens beside
// a picture covers nothing.
export function reveal(drawer, pressed, whole = pressed) {
  if (getComputedStyle(drawer).bottom === "auto") return;
  const isOnScreen = drawer.getBoundingClientRect().bottom <= innerHeight + GAP;
  if (!isOnScreen) whole.scrollIntoView({ behavior: "auto" });
  const covered = pressed.getBoundingClientRect().bottom + GAP - drawer.getBoundingClientRect().top;
  const { scrollPaddingTop } = getComputedStyle(document.documentElement); // below a bar
  const room = whole.getBoundingClientRect().top - (Number.parseFloat(scrollPaddingTop) || 0);
  const top = Math.max(0, Math.min(covered, room));
  if (top) scrollBy({ top, behavior: isStill() || !isOnScreen ? "auto" : "smooth" });
}
