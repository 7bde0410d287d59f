// The front end of pipeline.explore.live: in a notebook, what a run's report has, and Python gets what comes of it.
export default {
  render({ model, el }) {
    const send = (name, value) => {
      model.set(name, value);
      model.save_changes();
    };
    const { networks, training } = model.get("page");
    el.innerHTML = model.get("html");
    el.classList.add("live-panel");
    // JupyterLab takes the keys of what has the focus as commands on cells, unless that very element is marked.
    el.addEventListener("focusin", ({ target }) =>
      target.setAttribute("data-lm-suppress-shortcuts", "true"),
    );
    showRun(el, networks);
    const add = setUpPad(el.querySelector(".drawing"), networks, training, (image) =>
      send("drawn", new DataView(image.buffer)),
    );
    if (!training) return;
    const stopSteps = setUpSteps(el.querySelector(".steps"), training);
    const stopTraining = setUpTraining(
      el.querySelector(".training"),
      training,
      model.get("source"),
      (network) => {
        const [first, second] = [network.weights.first, network.weights.second].map(
          ({ buffer }) => new DataView(buffer),
        );
        send("trained", { first, second, normalisation: network.normalisation });
        add(network);
      },
    );
    return () => [stopSteps, stopTraining].forEach((stop) => stop());
  },
};
