// The drawing pad's front end. It records strokes and shows what Python answers; all thinking is done there.
// Loaded by anywidget: no build step, nothing from the network. pen.js, paint.js and panels.js come before this file.

const TEMPLATE = `
  <div class="stage">
    <section class="drawing">
      <h3>Draw a digit</h3>
      <svg data-part="pad" class="pad" viewBox="0 0 1 1" tabindex="0" role="application">
        <g data-part="ink"></g>
        <path data-part="cursor" class="cursor" d="M-.04 0H.04M0-.04V.04"></path>
      </svg>
      <div class="row">
        <button type="button" data-part="undo">Undo</button>
        <button type="button" data-part="clear">Clear</button>
      </div>
    </section>
    <section class="input">
      <h3>What the network sees</h3>
      <canvas data-part="image" class="digit" width="28" height="28" role="img"></canvas>
      <fieldset class="row" data-part="fit">
        <legend>28×28 pixels, made from your strokes</legend>
        <label><input type="radio" value="false"> as drawn</label>
        <label><input type="radio" value="true"> as MNIST was made</label>
      </fieldset>
    </section>
    <section class="answer">
      <h3>What it answers</h3>
      <fieldset class="row" data-part="network"><legend>Which network</legend></fieldset>
      <p class="verdict"><strong data-part="verdict" aria-hidden="true"></strong>
        <span data-part="sentence" role="status" aria-live="polite"></span></p>
      <ol data-part="bars" class="bars"></ol>
    </section>
  </div>
  <p data-part="notice" class="notice" role="alert"></p>
  <details data-panel="layers">
    <summary>Layer by layer</summary>
    <div data-part="layers" class="layers"></div>
    <div data-part="unit" class="unit" aria-live="polite"></div>
  </details>
  <details data-panel="map">
    <summary>Where your digit lives</summary>
    <fieldset class="row" data-part="space">
      <legend>The test digits, each a point; near means alike by</legend>
      <label><input type="radio" value="last hidden layer"> the last hidden layer</label>
      <label><input type="radio" value="pixels"> the pixels</label>
    </fieldset>
    <div class="row top">
      <div class="map"><canvas data-part="points" width="512" height="512" role="img"></canvas>
        <svg data-part="place" viewBox="0 0 1 1" aria-hidden="true"></svg></div>
      <div class="near"><p data-part="near"></p><div data-part="neighbours" class="strip"></div></div>
    </div>
  </details>
  <details data-panel="mine">
    <summary>Your digits</summary>
    <fieldset class="row keep" data-part="keep"><legend>Keep this drawing as a</legend></fieldset>
    <p data-part="tally" aria-live="polite"></p>
    <div data-part="kept" class="strip"></div>
    <div class="row">
      <button type="button" data-part="forget">Forget the last</button>
      <button type="button" data-part="download">Download</button>
      <label class="button">Reload a file <input type="file" data-part="reload" accept=".json"></label>
    </div>
  </details>`;

/** Switches: radio buttons bound to a trait; returns what shows the trait's value. */
function bind(model, group, trait, read) {
  const buttons = [...group.querySelectorAll("input")];
  group.onkeydown = (event) => event.stopPropagation(); // JupyterLab would take the arrow keys
  const name = `${trait}-${crypto.getRandomValues(new Uint32Array(1))[0]}`; // one group for each view of the pad
  for (const button of buttons) {
    button.name = name;
    button.onchange = () => {
      model.set(trait, read(button.value));
      model.save_changes();
    };
  }
  return () => buttons.forEach((button) => (button.checked = read(button.value) === model.get(trait)));
}

function switches(model, part) {
  const networks = model.get("networks");
  for (const name of networks) {
    const label = element("label", {}, part.network);
    element("input", { type: "radio", value: name }, label);
    label.append(` ${name}`);
  }
  if (networks.length < 2) part.network.remove();
  return {
    network: bind(model, part.network, "network", (value) => value),
    as_mnist: bind(model, part.fit, "as_mnist", (value) => value === "true"),
    space: bind(model, part.space, "space", (value) => value),
  };
}

/** Panels that open and close: Python works for those alone that are open. */
function foldable(model, el) {
  const panels = [...el.querySelectorAll("details")];
  for (const panel of panels)
    panel.ontoggle = () => {
      const open = panels.filter((each) => each.open).map((each) => each.dataset.panel);
      if (open.join() === model.get("opened").join()) return;
      model.set("opened", open);
      model.save_changes();
    };
  return () => panels.forEach((panel) => (panel.open = model.get("opened").includes(panel.dataset.panel)));
}

/** The file of drawings that Python sends when it is asked for; of several views of the pad, one downloads. */
function downloads(part, ask) {
  const view = crypto.getRandomValues(new Uint32Array(1))[0];
  part.download.onclick = () => ask({ download: view });
  return ({ file, download }) => {
    if (!file || download !== view) return;
    const address = URL.createObjectURL(new Blob([file], { type: "application/json" }));
    element("a", { href: address, download: "my_digits.json" }).click();
    URL.revokeObjectURL(address);
  };
}

function render({ model, el }) {
  el.classList.add("digit-pad");
  // On whatever has the focus, JupyterLab would take letters for commands: "dd" deletes the cell.
  el.addEventListener("focusin", (event) => (event.target.dataset.lmSuppressShortcuts = "true"));
  el.innerHTML = TEMPLATE;
  const part = Object.fromEntries([...el.querySelectorAll("[data-part]")].map((node) => [node.dataset.part, node]));
  const ask = (message) => {
    part.notice.textContent = model.get("notice"); // without what was said here alone
    try {
      model.send(message);
    } catch {
      part.notice.textContent = "Python does not answer. If its kernel was restarted, run the cell again, or reload the page.";
    }
  };

  const pen = makePen(model, part, el);
  followKeys(pen, part.pad, followPointer(pen, part.pad));
  part.undo.onclick = pen.takeBack;
  part.clear.onclick = pen.clear;
  const { showLayers, detail } = layersPanel(model, part);
  const shown = {
    strokes: pen.show, opened: foldable(model, el), ...switches(model, part), ...answerPanel(model, part, el, showLayers), detail,
    ...mapPanel(model, part), ...minePanel(model, part, pen, ask), notice: () => (part.notice.textContent = model.get("notice")),
  };
  for (const [trait, show] of Object.entries(shown)) {
    model.on(`change:${trait}`, show);
    show();
  }

  const receive = downloads(part, ask);
  const probe = () => ask({}); // when the kernel restarts: without it the pad would look alive, with an old answer
  model.on("msg:custom", receive);
  model.on("comm_live_update", probe);
  return () => {
    for (const [trait, show] of Object.entries(shown)) model.off(`change:${trait}`, show);
    model.off("msg:custom", receive);
    model.off("comm_live_update", probe);
  };
}

export default { render };
