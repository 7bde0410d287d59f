// Keeps what a reader has made, in the browser.

// Reads what was kept under a name, or null. A browser may refuse to store anything: then nothing
// is kept, and all else works.
export function readKept(name) {
  try {
    return JSON.parse(localStorage.getItem(`digits-by-hand: ${name}`));
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(`digits-by-hand: ${name}`, JSON.stringify(value));
  } catch {
    // A page without storage forgets when it is closed.
  }
}
