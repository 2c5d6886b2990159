// From the last layer's numbers to probabilities, and to the loss for the right label.
import { softmaxSteps } from "./arithmetic.js";
import { fill, h, number, scroll } from "./dom.js";
import { set, state } from "./state.js";

export const title = "Answer";
export const purpose =
  "The softmax in four steps; and the cross-entropy, which training makes small, for the label you choose.";
export const needs = ["run", "label"];

export function render(box) {
  const run = state.run;
  if (!run) return box.replaceChildren(h("p", { class: "quiet" }, "There is no answer yet."));
  const names = Object.keys(run.answer.probabilities);
  const steps = softmaxSteps(run.logits);
  const label = names.includes(state.label) ? state.label : String(run.answer.digit);
  const target = names.indexOf(label);
  const share = Object.values(run.answer.probabilities);
  const loss = -Math.log(Math.max(share[target], 1e-30));
  const rows = names.map((name, i) =>
    h("tr", { class: i === target ? "chosen" : "" },
      h("th", { scope: "row" }, name),
      [run.logits[i], steps.shifted[i], steps.powers[i], share[i], share[i] - (i === target)].map((value, column) =>
        h("td", { "data-step": `${name}-${column}` }, column === 3 ? value.toFixed(4) : number(value)))));
  const heads = ["class", "z", "z − max", "exp(z − max)", "p = exp / sum", "p − y"];
  const table = h("section", {},
    !run.softmax && h("p", { class: "wrong" }, "This network does not end in a softmax; its outputs are turned into probabilities as the reader does it."),
    scroll("Softmax", h("table", { class: "numbers wide" },
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows),
      h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "sum"), h("td", {}), h("td", {}), h("td", {}, number(steps.sum)), h("td", {}, "1.0000"), h("td", {}))))),
    h("p", { class: "quiet" }, "Subtracting the maximum changes no share, since it cancels; it keeps exp from overflowing. The last column is the gradient of the loss with respect to z."));
  const cost = h("section", {},
    h("p", {}, h("label", {}, "The right label is ", select(names, label))),
    h("p", { class: "formula big" }, "cross-entropy = −ln p", h("sub", {}, label), ` = −ln ${share[target].toFixed(4)} = `, h("b", { class: "value", "data-value": "loss" }, number(loss))),
    curve(share[target], loss));
  fill(box, h("div", { class: "halves" }, table, cost));
}

function select(names, label) {
  return h("select", { id: "label", onchange: (event) => set({ label: event.target.value }) },
    names.map((name) => h("option", { selected: name === label, value: name }, name)));
}

// -ln p, with the point of this answer.
function curve(share, loss) {
  const [width, height, top] = [320, 120, 6];
  const x = (p) => 10 + (width - 20) * p;
  const y = (value) => 10 + (height - 20) * (1 - Math.min(value, top) / top);
  const points = Array.from({ length: 100 }, (_, i) => (i + 1) / 100).map((p) => `${x(p)},${y(-Math.log(p))}`);
  const ns = "http://www.w3.org/2000/svg";
  const make = (tag, attributes) => {
    const element = document.createElementNS(ns, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const picture = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img", "aria-label": `The loss over the probability of the label: now ${number(loss)} at ${share.toFixed(4)}` });
  picture.append(make("polyline", { points: points.join(" "), class: "line" }), make("circle", { cx: x(share), cy: y(loss), r: 5, class: "point" }));
  return h("figure", {}, picture, h("figcaption", {}, "−ln p from p = 0 to 1: being sure and wrong costs most"));
}
