// What each pixel did for a class: by covering it, and by the gradient.
import { largest, pixel } from "./arrays.js";
import { fill, h, latest, number, percent, say } from "./dom.js";
import { frame, paint, picture, pointed, signed } from "./paint.js";
import { state } from "./state.js";

export const title = "Why";
export const purpose =
  "What each pixel did for a class: how much its probability falls when pixels are covered, and how much the class's score rises with each pixel.";
export const needs = ["image", "run"];

let target = null; // a class; null is the answer
let side = 5;
let shown = null; // what was computed last, and for what
let box = null;

const compute = latest(async () => {
  const { run } = state;
  if (!run) return;
  const names = Object.keys(run.answer.probabilities);
  const name = names.includes(target) ? target : String(run.answer.digit);
  const found = await state.api.attribution(run.image, {
    model: state.model, edits: state.edits, off: state.off, class: names.indexOf(name), side,
  });
  if (run !== state.run) return; // another picture or network meanwhile, whose own is on its way
  shown = { ...found, name, names, run, side };
  show();
}, (error) => say(error.message, true));

export function render(element) {
  box = element;
  if (!state.run) return box.replaceChildren(h("p", { class: "quiet" }, "There is no picture in the network yet."));
  if (shown?.run === state.run) show();
  else compute();
}

function show() {
  const { name, names, run, occlusion, gradient, probability } = shown;
  const choose = (event) => {
    target = event.target.value;
    compute();
  };
  const resize = (event) => {
    side = Number(event.target.value);
    compute();
  };
  const canChange = !state.isFile;
  const cover = h("span", { class: "frame", hidden: true });
  fill(box,
    canChange && h("p", { class: "row" },
      h("label", {}, "Why (or why not) ", h("select", { id: "why-class", onchange: choose }, names.map((one) => h("option", { selected: one === name }, one)))),
      h("label", {}, "covered square ", h("select", { id: "why-side", onchange: resize }, [1, 3, 5, 7, 9].map((one) => h("option", { value: String(one), selected: one === shown.side }, `${one}×${one}`))))),
    h("div", { class: "pair" },
      h("figure", {}, h("div", { class: "over large" }, picture(run.image, "The picture that the network gets"), cover), h("figcaption", {}, `the picture: p(${name}) = ${percent(probability)}`)),
      map("occlusion", occlusion, `Occlusion for ${name}`, cover),
      map("gradient", gradient, `Gradient for ${name}`, cover)),
    h("p", { class: "formula" }, `occlusion(r, c) = p(${name}) − p(${name}) with a black ${shown.side}×${shown.side} square around (r, c)`),
    h("p", { class: "formula" }, `gradient(r, c) = ∂ z(${name}) / ∂ pixel(r, c), by one backward pass from the class’s score z to the picture`),
    h("p", { class: "quiet" }, "Blue: these pixels speak for the class (for the gradient: more ink here would). Orange: against it. The two need not agree: one covers a whole square, the other moves a single pixel a little."),
  );
}

function map(kind, array, label, cover) {
  const canvas = paint(h("canvas", { class: "pixels", role: "img", "aria-label": label, tabindex: "0" }), array, 0, signed(largest(array)));
  const caption = h("figcaption", { "aria-live": "polite" }, kind);
  let place = [14, 14];
  const point = ([row, column]) => {
    place = [row, column];
    caption.textContent = `${kind} at row ${row}, column ${column}: ${number(pixel(array, row, column, 0))}`;
    const reach = kind === "occlusion" ? (shown.side - 1) / 2 : 0;
    const fresh = frame([row - reach, column - reach, row + reach + 1, column + reach + 1], 28, 28);
    cover.hidden = false;
    Object.assign(cover.style, { top: fresh.style.top, left: fresh.style.left, width: fresh.style.width, height: fresh.style.height });
  };
  canvas.addEventListener("pointermove", (event) => point(pointed(event, canvas)));
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (!steps[event.key]) return;
    event.preventDefault();
    point(place.map((value, axis) => Math.min(Math.max(value + steps[event.key][axis], 0), 27)));
  });
  return h("figure", { "data-map": kind }, h("div", { class: "over large" }, canvas), caption);
}
