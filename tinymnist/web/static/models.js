// Open a model file of any framework; put two models side by side.
import { api } from "./api.js";
import { largest, meanMap } from "./arrays.js";
import { $, fill, h, save, say, scroll } from "./dom.js";
import { report } from "./jobs.js";
import { paint, signed } from "./paint.js";
import { set, state } from "./state.js";

export const title = "Models";
export const purpose =
  "Open your own model from Keras, PyTorch, ONNX or NumPy: every view shows it. Put two side by side: the first layer that differs is marked.";
export const needs = ["models", "description", "edits"];

let outcome = null;

export function render(box) {
  const names = [...state.models.shared, ...state.models.own];
  const options = (chosen) => names.map((name) => h("option", { selected: name === chosen }, name));
  const [a, b] = ["compare-a", "compare-b"].map((id) => $(`#${id}`, box)?.value);
  const description = state.description;
  fill(box,
    h("label", { class: "dropzone", id: "dropzone", ondragover: (event) => event.preventDefault(), ondrop: drop },
      h("input", { type: "file", id: "model-file", class: "unseen", accept: ".npz,.h5,.hdf5,.keras,.onnx,.pt,.pth,.safetensors", onchange: (event) => open(event.target.files[0]) }),
      h("b", {}, "Drop a model here, or choose a file"),
      h("small", {}, ".npz .h5 .keras .onnx .pt .safetensors, up to 25 MB. No code in it is run.")),
    description && h("section", {},
      h("h3", {}, description.name),
      h("p", { class: "quiet" }, `${description.parameters.toLocaleString("en")} parameters · takes ${description.input_shape.join("×")} · knows ${description.class_names.length} classes`),
      h("details", {}, h("summary", {}, "Where it comes from"), h("p", { class: "quiet" }, description.source)),
      scroll("Layers of the model", h("table", { class: "numbers wide" },
        h("thead", {}, h("tr", {}, ["layer", "class", "output", "parameters", "multiply-adds"].map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, description.layers.map((layer) => h("tr", {},
          h("th", { scope: "row" }, h("button", { type: "button", class: "plain", onclick: () => set({ layer: layer.name, unit: null, view: "layers" }) }, layer.name)),
          h("td", {}, layer.class), h("td", {}, layer.shape.join("×")), h("td", {}, count(layer).toLocaleString("en")), h("td", {}, layer.multiply_adds.toLocaleString("en"))))))),
      h("p", { class: "buttons" },
        h("button", { type: "button", onclick: async () => save(`${description.name}.npz`, await api.download(state.model, "npz")) }, "Save as .npz"),
        h("button", { type: "button", onclick: async () => save(`${description.name}.py`, await api.download(state.model, "py")) }, "Save as one Python file"))),
    h("section", {},
      h("h3", {}, "Side by side"),
      h("p", { class: "row" },
        h("label", {}, "a ", h("select", { id: "compare-a" }, options(a ?? state.model))),
        h("label", {}, "b ", h("select", { id: "compare-b" }, options(b ?? names.find((name) => name !== state.model)))),
        h("button", { type: "button", class: "main", id: "compare-go", onclick: compare }, "Compare")),
      state.edits.length > 0 && h("p", { class: "quiet" }, `Your ${state.edits.length} changed weights count for b, if it is ${state.model}.`),
      h("div", { id: "comparison", "aria-live": "polite" }, outcome ?? "")));
}

const count = (layer) => Object.values(layer.arrays).reduce((sum, shape) => sum + shape.reduce((p, n) => p * n, 1), 0);

function drop(event) {
  event.preventDefault();
  open(event.dataTransfer.files[0]);
}

async function open(file) {
  if (!file) return;
  say(`Opening ${file.name} …`);
  try {
    const opened = await api.open(file);
    say(opened.notes.length ? opened.notes.join(" ") : `${opened.name} is open: every view shows it now.`);
    set({ models: await api.models() });
    set({ model: opened.name });
  } catch (error) {
    report(error);
  }
}

// The mean of a layer's maps for the picture at the left.
function thumbnail(run, name) {
  const output = run?.maps[name];
  if (!output || output.shape.length !== 3) return "";
  const mean = meanMap(output);
  return paint(h("canvas", { class: "pixels thumb", role: "img", "aria-label": `mean map of ${name}` }), mean, 0, signed(largest(mean)));
}

async function compare() {
  const [a, b] = [$("#compare-a").value, $("#compare-b").value];
  outcome = null;
  $("#comparison").replaceChildren("Running both on six pictures, and once in float64 …");
  try {
    const edits = b === state.model ? state.edits : [];
    const { record, lines } = await api.compare(a, b, { edits });
    const runs = state.image ? await Promise.all([{ model: a }, { model: b, edits }].map((one) => api.layers(state.image, one))) : [];
    const first = record.layers.findIndex((layer) => !layer.passes);
    const short = (value) => (typeof value === "number" ? value.toExponential(1) : value);
    outcome = h("div", {},
      h("p", { class: record.agrees ? "good" : "wrong", id: "compare-headline" }, lines[0]),
      lines.slice(1).map((line) => h("p", { class: "quiet" }, line)),
      scroll("Layers side by side", h("table", { class: "numbers wide" },
        h("thead", {}, h("tr", {}, ["layer of a", "layer of b", "output", "largest error", "relative", "a", "b"].map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, record.layers.map((layer, i) => h("tr", { class: layer.passes ? "" : i === first ? "differs first" : "differs" },
          h("th", { scope: "row" }, layer.a), h("td", {}, layer.b), h("td", {}, layer.shape.join("×")), h("td", {}, short(layer.max_error)), h("td", {}, short(layer.relative_error)), [layer.a, layer.b].map((name, side) => h("td", {}, thumbnail(runs[side], name)))))))));
    $("#comparison").replaceChildren(outcome);
  } catch (error) {
    $("#comparison").replaceChildren();
    report(error);
  }
}
