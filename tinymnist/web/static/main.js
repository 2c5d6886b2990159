// The glass box, served: puts the parts together.
import * as address from "./address.js";
import * as answer from "./answer.js";
import { api } from "./api.js";
import * as change from "./change.js";
import { $, h, say } from "./dom.js";
import * as exporting from "./export.js";
import * as layers from "./layers.js";
import * as models from "./models.js";
import * as pipeline from "./pipeline.js";
import * as rail from "./rail.js";
import * as recipe from "./recipe.js";
import { set, state, subscribe } from "./state.js";
import * as tabs from "./tabs.js";
import * as teach from "./teach.js";
import * as train from "./train.js";
import * as walk from "./walk.js";
import * as why from "./why.js";

const views = { recipe, layers, answer, why, change, train, teach, models };

function listModels() {
  const names = [...state.models.shared, ...state.models.own];
  $("#model").replaceChildren(...names.map((name) => h("option", { selected: name === state.model }, name)));
}

function theme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  set({ view: state.view }); // the pictures have the theme's colours
}

async function begin() {
  state.api = api;
  state.models = await api.models();
  pipeline.start();
  tabs.build(views);
  rail.build();
  walk.build();
  exporting.build();
  $("#theme").addEventListener("click", theme);
  $("#draw").addEventListener("click", rail.showPad);
  $("#model").addEventListener("change", (event) => set({ model: event.target.value }));
  subscribe((keys) => {
    if (keys.has("models") || keys.has("model")) listModels();
    if (keys.has("walk")) walk.render();
  });
  const given = address.read();
  const names = [...state.models.shared, ...state.models.own];
  if (!names.includes(given.model)) given.model = state.models.default;
  set({ walk: null, view: state.view, source: state.source, models: state.models, ...given });
  address.keep();
  document.body.dataset.ready = "true";
}

begin().catch((error) => say(error.message, true));
