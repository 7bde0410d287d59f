// Draws a small network from its state, and makes it live. See pipeline/diagram.py.

// The entry point of JupyterLab's widget.
export function render({ model, el }) {
  el.classList.add("live-panel");
  el.textContent = `A network: ${JSON.stringify(model.get("state"))}`;
}
