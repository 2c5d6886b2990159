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
    const model = state.model;
    const explained = await api.explain(state.blob, model, state.skip);
    say("");
    if (model === state.model) set({ explained, image: explained.image });
  } catch (error) {
    set({ explained: null, image: null });
    throw error;
  }
}, failed);

const run = latest(async () => {
  if (!state.image) return set({ run: null });
  const model = state.model;
  const found = await api.layers(state.image, changes());
  if (model === state.model) set({ run: found });
}, failed);

const describe = latest(async () => {
  const model = state.model;
  // Nothing of the model before may be shown beside what belongs to this one.
  set({ description: null, run: null, weights: {} });
  const description = await api.model(model);
  if (model !== state.model) return;
  const names = description.layers.map((layer) => layer.name);
  const layer = names.includes(state.layer) ? state.layer : names[0];
  const known = (name) => names.includes(name.split("/")[0]);
  const [edits, off] = [state.edits, state.off].map((list) => list.filter(([name]) => known(name)));
  set({ description, layer, edits, off });
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
