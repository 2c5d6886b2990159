// From the photo to MNIST's form: every stage with its switch, and the tutorials' way beside it.
import { h, percent } from "./dom.js";
import { picture } from "./paint.js";
import { set, state } from "./state.js";

export const STAGES = {
  polarity: "Is the ink dark or light? Bring it to dark on light.",
  background: "Even out the light on the paper: ink becomes 1, paper 0.",
  noise: "Average away the grain of the camera.",
  threshold: "Decide for every pixel how much ink it is.",
  rules: "Erase ruled lines that run from edge to edge.",
  components: "Keep the marks that make the digit, drop specks.",
  slant: "Set the digit upright. Off: the network knows slanted ones.",
  box: "Scale to 20 pixels, strokes as wide as MNIST's.",
  centre: "Put the centre of mass into the middle of 28×28.",
};

export const title = "From photo to 28×28";
export const purpose =
  "Each stage removes one difference between your picture and MNIST's; switch one off to see what it was good for.";
export const needs = ["explained", "image", "skip"];

const verdict = (answer, text) =>
  h("p", { class: "reads" }, h("b", {}, String(answer.digit)), ` ${percent(answer.confidence)}`, h("small", {}, text));

export function render(box) {
  const explained = state.explained;
  if (!explained) return box.replaceChildren(h("p", { class: "quiet" }, "There is no picture to prepare yet."));
  const made = Object.fromEntries(explained.stages.map((stage) => [stage.name, stage]));
  const first = made.grey;
  const isReady = explained.stages.length === 2 && first && !("box" in made) && !state.skip.includes("box");
  const cards = [card("grey", "picture", first, "The picture as it comes, in grey.", false)];
  for (const [name, text] of Object.entries(STAGES)) {
    if (!isReady || name === "centre") cards.push(card(name, name, made[name], text, !isReady));
  }
  box.replaceChildren(
    h("ol", { class: "stages" }, cards),
    h("div", { class: "duel" },
      h("section", {},
        h("h3", {}, "This recipe"),
        h("div", { class: "row" },
          picture(explained.image, "The picture after this recipe"),
          verdict(explained.answer, `read by ${state.model}`))),
      h("section", {},
        h("h3", {}, "The tutorials’ recipe"),
        h("div", { class: "row" },
          picture(explained.tutorial.image, "The picture resized to 28 by 28"),
          verdict(explained.tutorial.answer, `read by ${explained.tutorial.model}, the tutorials’ network`),
          verdict(explained.tutorial.same_model, `read by ${state.model}`)),
        h("p", { class: "quiet" }, "Grey, resize to 28×28, divide by 255: nothing else. It leaves paper, polarity, size, place and stroke as they were."))),
  );
}

function card(name, label, stage, text, hasSwitch) {
  const isOn = !state.skip.includes(name);
  const shown = stage ?? null;
  const toggle = () => set({ skip: isOn ? [...state.skip, name] : state.skip.filter((other) => other !== name) });
  const control = hasSwitch
    ? h("label", { class: "switch" }, h("input", { type: "checkbox", checked: isOn, onchange: toggle, "data-stage": name }), label)
    : h("b", {}, label);
  return h("li", { class: isOn ? "stage" : "stage off" },
    control,
    shown ? h("img", { src: shown.picture, alt: `After ${label}: ${shown.note}` }) : h("div", { class: "gap" }, "switched off"),
    h("p", {}, text),
    shown && h("p", { class: "note" }, shown.note));
}
