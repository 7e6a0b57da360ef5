// The drawing pad's front end. It records strokes and shows what Python answers; all thinking is done there.
// Loaded by anywidget: no build step, nothing from the network. The other files come before this one; see widget.py.

/** The pad's page; its headings are of `level`, 1 to 6. */
const template = (level) => `
  <div class="stage">
    <section class="drawing">
      <h${level} class="title">Draw a digit</h${level}>
      <div class="easel">
        <svg data-part="pad" class="pad" viewBox="0 0 1 1" tabindex="0" role="application">
          <text class="invitation" x=".5" y=".5" aria-hidden="true">draw here</text>
          <g data-part="ink"></g>
          <path data-part="cursor" class="cursor" d="M-.04 0H.04M0-.04V.04"></path>
        </svg>
        <div class="row tools">
          <button type="button" data-part="undo">Undo</button>
          <button type="button" data-part="clear">Clear</button>
          <button type="button" data-part="example">Draw one for me</button>
        </div>
        <p class="help"><kbd>arrows</kbd> move, with <kbd>Shift</kbd> farther · <kbd>Space</kbd> sets the pen down and lifts it
          · <kbd>Backspace</kbd> takes back · <kbd>Delete</kbd> clears</p>
      </div>
    </section>
    <section class="input">
      <h${level} class="title">What the network sees</h${level}>
      <div class="frame"><canvas data-part="image" class="digit" width="28" height="28" role="img"></canvas>
        <canvas data-part="shares" class="digit" width="28" height="28" role="img" hidden></canvas>
        <p class="hint">28×28 pixels, once you draw</p></div>
      <fieldset class="row" data-part="fit">
        <legend>28×28 pixels, made from your strokes</legend>
        <label><input type="radio" value="false"> as drawn</label>
        <label><input type="radio" value="true"> centred like MNIST</label>
      </fieldset>
    </section>
    <section class="answer">
      <h${level} class="title">What it answers</h${level}>
      <div class="verdict"><strong data-part="verdict" aria-hidden="true"></strong>
        <p data-part="sentence" class="sentence" aria-hidden="true"></p></div>
      <ol data-part="bars" class="bars"></ol>
      <p data-part="why" class="why" aria-live="polite"></p>
      <p class="tip">Point at a bar or tap it: which ink speaks for it, and which against?</p>
      <fieldset class="row" data-part="network"><legend>Which network</legend></fieldset>
    </section>
  </div>
  <p data-part="said" class="unseen" role="status"></p>
  <p data-part="where" class="unseen" aria-live="polite"></p>
  <p data-part="notice" class="notice" role="alert"></p>
  <details data-panel="layers">
    <summary>Layer by layer</summary>
    <p class="hint">Once you draw, you see here what every layer answers.</p>
    <div data-part="flow" class="flow" hidden><canvas class="digit" aria-hidden="true"></canvas>
      <svg viewBox="0 0 ${FLOW_WIDTH} ${FLOW_HEIGHT}" role="img"></svg></div>
    <p data-part="lines"></p>
    <div data-part="layers" class="layers">
      <div data-part="first"></div>
      <div data-part="unit" class="unit" aria-live="polite"></div>
      <div data-part="rest"></div>
    </div>
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
      <div class="near"><p data-part="near"></p><div data-part="neighbours" class="strip"></div>
        <p data-part="hovered" aria-hidden="true"></p></div>
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
  </details>
  <details data-panel="fool">
    <summary>Fool the network</summary>
    <p>The network knows ten digits and nothing else. Its judge says “?” to what is unlike them. Can you get something
      past it? Whether it really is no digit, only people can say.</p>
    <div class="row">
      <button type="button" data-part="claim">It is no digit!</button>
      <button type="button" data-part="prizes">Download the trophies</button>
    </div>
    <div aria-live="polite"><p data-part="outcome"></p><p data-part="score"></p></div>
    <div data-part="trophies" class="strip"></div>
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

/** What Python sends when it is asked: strokes to put on the pad, or to draw before one's eyes, or a file of drawings. Of
 * several views of the pad, the one that asked takes it. */
function replies(pen) {
  const view = crypto.getRandomValues(new Uint32Array(1))[0];
  const receive = ({ view: asked, strokes, play, file, name = "my_digits.json" }) => {
    if (asked !== view) return;
    if (play) pen.play(play);
    if (strokes) pen.put(strokes);
    if (!file) return;
    const address = URL.createObjectURL(new Blob([file], { type: "application/json" }));
    element("a", { href: address, download: name }).click();
    URL.revokeObjectURL(address);
  };
  return { view, receive };
}

function render({ model, el }) {
  el.classList.add("digit-pad");
  el.setAttribute("role", "region");
  el.setAttribute("aria-label", "Drawing pad");
  // On whatever has the focus, JupyterLab would take letters for commands: "dd" deletes the cell.
  el.addEventListener("focusin", (event) => (event.target.dataset.lmSuppressShortcuts = "true"));
  el.innerHTML = template(model.get("level"));
  const part = Object.fromEntries([...el.querySelectorAll("[data-part]")].map((node) => [node.dataset.part, node]));
  const ask = (message) => {
    part.notice.textContent = model.get("notice"); // without what was said here alone
    try {
      model.send({ ...message, view });
    } catch {
      part.notice.textContent = "Python does not answer. If its kernel was restarted, run the cell again, or reload the page.";
    }
  };

  const pen = makePen(model, part, el);
  const { view, receive } = replies(pen);
  followKeys(pen, part.pad, followPointer(pen, part.pad), speaker(part.where));
  part.undo.onclick = pen.takeBack;
  part.clear.onclick = pen.clear;
  part.example.onclick = () => ask({ example: true });
  part.download.onclick = () => ask({ download: true });
  const { showLayers, detail } = layersPanel(model, part);
  const shown = {
    strokes: pen.show, opened: foldable(model, el), ...switches(model, part), ...answerPanel(model, part, el, pen, showLayers), detail,
    ...mapPanel(model, part), ...minePanel(model, part, pen, ask), ...foolPanel(model, part, pen, ask), notice: () => (part.notice.textContent = model.get("notice")),
  };
  for (const [trait, show] of Object.entries(shown)) {
    model.on(`change:${trait}`, show);
    show();
  }

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
