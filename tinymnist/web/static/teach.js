// Teach the network a sign of your own: a new head on frozen layers.
import { api } from "./api.js";
import { $, fill, h, percent, save, say } from "./dom.js";
import { follow, report } from "./jobs.js";
import { pad, toBlob } from "./pad.js";
import { showPad } from "./rail.js";
import { set, state } from "./state.js";

export const title = "Teach";
export const purpose =
  "Draw a sign of your own five times: a new head on the frozen layers learns it in seconds, and you see which arrays did not change.";
export const needs = ["models"];

const signs = new Map(); // name -> [{ strokes, blob }]
let current = "A";
let result = null;
let drawing = null;

export function render(box) {
  if ($("#teach-name", box)) return;
  drawing = pad("Pad for your sign", () => {});
  const name = h("input", { id: "teach-name", maxLength: 20, value: current, size: 8, oninput: (event) => { current = event.target.value.trim(); show(); } });
  box.replaceChildren(
    h("div", { class: "halves" },
      h("section", {},
        h("p", { class: "row" }, h("label", {}, "Name of the sign ", name)),
        h("div", { class: "padframe" }, drawing.canvas),
        h("p", { class: "buttons" },
          h("button", { type: "button", class: "main", id: "teach-add", onclick: add }, "Add this drawing"),
          h("button", { type: "button", onclick: () => drawing.setStrokes([]) }, "Clear"))),
      h("section", {}, h("h3", {}, "Your signs"), h("div", { id: "teach-signs" }),
        h("p", {}, h("label", {}, h("input", { type: "checkbox", id: "teach-keep", checked: true }), " beside the ten digits")),
        h("p", { class: "buttons" }, h("button", { type: "button", class: "main", id: "teach-go", onclick: go }, "Teach it")),
        h("div", { id: "teach-result", "aria-live": "polite" }))));
  show();
}

async function add() {
  const strokes = drawing.strokes().filter((line) => line.length);
  if (!strokes.length || !current) return say("Draw the sign and give it a name first.", true);
  const list = signs.get(current) ?? [];
  signs.set(current, [...list, { blob: await toBlob(strokes) }]);
  drawing.setStrokes([]);
  show();
}

function show() {
  if (!$("#teach-signs")) return;
  const rows = [...signs].map(([name, list]) =>
    h("div", { class: "sign-row" }, h("b", {}, name), list.map((one, i) => {
      one.url ??= URL.createObjectURL(one.blob);
      const remove = () => {
        const left = list.filter((other) => other !== one);
        if (left.length) signs.set(name, left);
        else signs.delete(name);
        show();
      };
      return h("button", { type: "button", title: "remove", "aria-label": `Remove drawing ${i + 1} of ${name}`, onclick: remove }, h("img", { src: one.url, alt: "" }));
    })));
  const count = signs.get(current)?.length ?? 0;
  $("#teach-signs").replaceChildren(...rows, h("p", { class: "quiet" }, `${count} of 5 drawings of “${current}”; one is enough, five are better.`));
  $("#teach-go").disabled = !signs.size;
}

const base64 = async (blob) => {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
};

async function go() {
  const out = $("#teach-result");
  out.replaceChildren(h("p", {}, "Learning …"));
  $("#teach-go").disabled = true;
  try {
    const named = {};
    for (const [name, list] of signs) named[name] = await Promise.all(list.map((one) => base64(one.blob)));
    const began = performance.now();
    await api.finetune({ signs: named, keep_digits: $("#teach-keep").checked, model: state.model });
    await follow((event) => {
      if (event.event === "stage") out.replaceChildren(h("p", {}, `${event.text} …`));
      if (event.event === "model") result = event;
    });
    const seconds = (performance.now() - began) / 1000;
    set({ models: await api.models() });
    set({ model: result.name });
    await showResult(out, seconds);
  } catch (error) {
    out.replaceChildren();
    report(error);
  }
  $("#teach-go").disabled = false;
}

async function showResult(out, seconds) {
  const measured = await api.accuracy({ model: result.name });
  fill(out,
    h("p", {}, h("b", {}, `Learned in ${seconds.toFixed(1)} s. `), "Now draw the sign for it to read."),
    $("#teach-keep").checked && h("p", {}, `The digits: ${percent(measured.right / measured.of)} of 200 are still read.`),
    h("p", { class: "buttons" },
      h("button", { type: "button", class: "main", onclick: showPad }, "Draw it"),
      h("button", { type: "button", id: "teach-save", onclick: async () => save("my-signs.npz", await api.download(result.name, "npz")) }, "Save the weights")),
    h("details", {}, h("summary", {}, `${result.kept.length} arrays stayed, bit for bit; ${result.changed.length} are new`),
      h("ul", { class: "arrays" }, result.changed.map((name) => h("li", { class: "new" }, `${name} is new`)), result.kept.map((name) => h("li", {}, name)))));
}
