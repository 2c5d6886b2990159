// The same views of one picture, from numbers that lie in this file.
import * as answer from "./answer.js";
import { unpack } from "./arrays.js";
import { $, h, say } from "./dom.js";
import * as layers from "./layers.js";
import * as recipe from "./recipe.js";
import { set, state, subscribe } from "./state.js";
import * as tabs from "./tabs.js";
import * as why from "./why.js";

const views = { recipe, layers, answer, why };
const arrays = (packed) => Object.fromEntries(Object.entries(packed).map(([name, array]) => [name, unpack(array)]));

const data = JSON.parse($("#data").textContent);
const tutorial = { ...data.explained.tutorial, image: unpack(data.explained.tutorial.image) };
const whole = { ...data.explained, image: unpack(data.explained.image), tutorial };

function skipped() {
  const off = state.skip.filter((name) => name !== "slant");
  const isUpright = !state.skip.includes("slant");
  if (!off.length && !isUpright) return set({ explained: whole });
  const name = off.at(-1) ?? "slant";
  const found = data.without[name];
  if (off.length > 1 || (off.length && isUpright)) return set({ skip: ["slant", name] }); // one at a time
  if (!found) {
    say(`Without the stage “${name}” no digit is found.`);
    return set({ explained: whole });
  }
  say("The other views show the picture with every stage.");
  set({ explained: { ...found, image: unpack(found.image), tutorial } });
}

state.api = {
  attribution: async () => ({ ...data.attribution, occlusion: unpack(data.attribution.occlusion), gradient: unpack(data.attribution.gradient) }),
  weights: async (_, layer) => {
    if (!data.weights[layer]) throw new Error("too large for this file");
    return arrays(data.weights[layer]);
  },
};
state.isFile = true;
state.model = data.model.name;
state.description = data.model;
tabs.build(views);
subscribe((keys) => keys.has("skip") && skipped());
$("#photo").append(h("img", { src: whole.stages[0].picture, alt: "The picture in grey" }));
set({
  view: "recipe",
  explained: whole,
  image: whole.image,
  run: { ...data.run, image: unpack(data.run.image), maps: arrays(data.run.maps) },
  layer: data.model.layers[0].name,
});
document.body.dataset.ready = "true";
