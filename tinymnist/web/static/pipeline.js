// From a picture to every layer: what has to be computed again when something changes.
import { api } from "./api.js";
import { latest, say } from "./dom.js";
import { toBlob } from "./pad.js";
import { set, state, subscribe } from "./state.js";

const failed = (error) => say(error.message, true);

export const changes = () => ({
  model: state.model,
  effects: state.effects,
  edits: state.edits,
  off: state.off,
});

const picture = latest(async () => {
  const source = state.source;
  if (source.kind === "sample") set({ blob: await api.sample(source.name) });
  if (source.kind === "drawing") {
    set({ blob: source.strokes.some((line) => line.length) ? await toBlob(source.strokes) : null });
  }
}, failed);

const explain = latest(async () => {
  if (!state.blob) return set({ explained: null, image: null });
  try {
    const explained = await api.explain(state.blob, state.model, state.skip);
    say("");
    set({ explained, image: explained.image });
  } catch (error) {
    set({ explained: null, image: null });
    throw error;
  }
}, failed);

const run = latest(async () => {
  if (!state.image) return set({ run: null });
  set({ run: await api.layers(state.image, changes()) });
}, failed);

const describe = latest(async () => {
  const model = state.model;
  const description = await api.model(model);
  const names = description.layers.map((layer) => layer.name);
  const layer = names.includes(state.layer) ? state.layer : names[0];
  const known = (name) => names.includes(name.split("/")[0]);
  const [edits, off] = [state.edits, state.off].map((list) => list.filter(([name]) => known(name)));
  set({ description, weights: {}, layer, edits, off, run: null });
  await explain();
}, failed);

export function start() {
  subscribe((keys) => {
    if (keys.has("model")) describe();
    if (keys.has("source")) picture();
    if ((keys.has("blob") || keys.has("skip")) && state.description) explain();
    if (["image", "effects", "edits", "off"].some((key) => keys.has(key)) && state.description) run();
  });
}
