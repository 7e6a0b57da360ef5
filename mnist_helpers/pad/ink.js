// Which ink speaks for the answer: one asks by a bar, and the image that the network sees takes colours.

// Blue and orange as the image's black ground needs them.
const [SAYS_FOR, SAYS_AGAINST] = [[80, 180, 245], [255, 140, 50]];

/** A pixel's colour: `share` is 128 for nothing, above it for the answer, below it against; `ink` from 0 to 255. */
function says(share, ink) {
  return mix(grey(ink / 4), share < 128 ? SAYS_AGAINST : SAYS_FOR, Math.sqrt(Math.abs(share - 128) / 127));
}

/** Let one ask by the ten `buttons`: with the mouse on one or the focus on it, or by a tap, which a second one takes
 * back. Of the ten only one is in the order of tabs; arrow keys lead to the others. */
function askable(model, part, buttons) {
  const ask = (digit) => {
    if (digit === model.get("asked")) return;
    model.set("asked", digit);
    model.save_changes();
  };
  const leave = (digit) => model.get("asked") === digit && ask(-1);
  buttons.forEach((button, digit) => {
    let byMouse = false;
    button.tabIndex = digit ? -1 : 0;
    button.onpointerenter = (event) => event.pointerType === "mouse" && ask(digit);
    button.onpointerleave = (event) => event.pointerType === "mouse" && leave(digit);
    button.onpointerdown = (event) => (byMouse = event.pointerType === "mouse");
    button.onclick = () => {
      if (!byMouse) ask(model.get("asked") === digit ? -1 : digit); // the mouse has asked on its way
      byMouse = false;
    };
    button.onfocus = () => {
      buttons.forEach((each) => (each.tabIndex = each === button ? 0 : -1));
      if (button.matches(":focus-visible")) ask(digit); // by keys
    };
    button.onblur = () => leave(digit);
    button.onkeydown = (event) => {
      const next = event.key === "Home" ? 0 : event.key === "End" ? 9 : event.key in MOVES ? digit + MOVES[event.key][1] : digit;
      if (event.key === "Escape") ask(-1);
      else if (next === digit) return;
      else buttons[Math.min(9, Math.max(0, next))].focus();
      event.preventDefault();
      event.stopPropagation();
    };
  });
  for (const kind of ["pointerdown", "keydown"]) part.pad.addEventListener(kind, () => ask(-1)); // who draws has done asking
}

/** Show what the ink says, over the image, and in words. */
function reasonPanel(model, part, el, buttons) {
  return () => {
    const { shares, sentence = "" } = model.get("reason");
    const [values, ink] = [bytes(shares), bytes(model.get("seen").image)];
    el.dataset.asked = Boolean(shares);
    buttons.forEach((button, digit) => button.setAttribute("aria-pressed", Boolean(shares) && digit === model.get("asked")));
    part.why.textContent = sentence;
    part.shares.hidden = !shares;
    paint(part.shares, values, 28, 28, (share, i) => says(share, ink[i]));
    part.shares.setAttribute("aria-label", `The same image, its ink coloured. ${sentence}`);
  };
}
