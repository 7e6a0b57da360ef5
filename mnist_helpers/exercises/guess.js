// One question and the browser's own controls for it. A guess goes to the kernel when it is committed, by the button or
// Enter; what was committed may be changed until the result is there.

function element(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function choices(model, name, commit) {
  const inputs = model.get("choices").map((choice) =>
    element("input", { type: "radio", name, value: choice, checked: model.get("chosen") === choice }),
  );
  inputs.forEach((input) => input.addEventListener("change", commit));
  const value = () => inputs.find((input) => input.checked)?.value ?? null;
  return [inputs.map((input) => element("label", {}, input, element("span", {}, input.value))), value];
}

function number(model, name, commit) {
  const [low, high, step] = ["low", "high", "step"].map((key) => model.get(key));
  const slides = model.get("kind") === "slider";
  const chosen = model.get("chosen");
  const input = element("input", { type: slides ? "range" : "number", id: name, min: low, max: high, step });
  input.setAttribute("aria-label", model.get("question"));
  let moved = chosen !== null; // the middle, where a slider begins, is nobody's guess
  input.value = chosen ?? (slides ? (low + high) / 2 : "");
  const unit = model.get("unit") ? `\u00a0${model.get("unit")}` : "";
  const shown = element("span", { className: "value", ariaHidden: "true" }); // the control itself is read out
  const show = () => {
    shown.textContent = !slides ? unit : moved ? Number(input.value).toLocaleString("en") + unit : `? ${unit}`;
    if (slides) input.setAttribute("aria-valuetext", moved ? shown.textContent : "not moved yet");
  };
  input.addEventListener("input", () => (moved = true) && show());
  input.addEventListener("keydown", (event) => event.key === "Enter" && commit());
  show();
  const value = () => (!(slides ? moved : input.value !== "" && input.checkValidity()) ? null : Number(input.value));
  return [[input, shown, element("button", { type: "button", onclick: commit }, "This is my guess")], value];
}

function render({ model, el }) {
  // Each question on a page loads this file anew, so a count would give all of them the same name, and one group.
  const name = `digit-guess-${Math.random().toString(36).slice(2)}`;
  let value;
  const commit = () => {
    const guess = value();
    if (guess === null) {
      const kind = Number.isInteger(model.get("step")) ? "whole number" : "number";
      const range = `A ${kind} from ${model.get("low")} to ${model.get("high")} is needed.`;
      said.textContent = model.get("kind") === "slider" ? "Move the slider first." : range;
      return;
    }
    model.set("chosen", guess);
    model.save_changes();
  };
  const make = model.get("kind") === "choices" ? choices : number;
  const [controls, read] = make(model, name, commit);
  value = read;
  const said = element("p", { className: "said", role: "status" });
  const tell = () => (said.textContent = model.get("said"));
  model.on("change:said", tell);
  tell();
  const legend = element("legend", {}, model.get("question"));
  el.append(element("fieldset", { className: "digit-turn digit-guess" }, legend, element("div", {}, ...controls), said));
  // Keys belong to the guess: JupyterLab would take Enter and the arrows for commands of the notebook.
  el.addEventListener("focusin", (event) => (event.target.dataset.lmSuppressShortcuts = "true"));
  return () => model.off("change:said", tell);
}

export default { render };
