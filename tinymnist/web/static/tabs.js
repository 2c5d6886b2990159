// The views as tabs: one is shown, and only that is kept up to date.
import { $, h } from "./dom.js";
import { set, state, subscribe } from "./state.js";

export function build(views) {
  const bar = $("#tabs");
  for (const [name, view] of Object.entries(views)) {
    bar.append(h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `view-${name}`, onclick: () => set({ view: name }) }, view.title));
    $("#views").append(
      h("section", { role: "tabpanel", id: `view-${name}`, class: "view", "aria-labelledby": `tab-${name}`, hidden: true, tabindex: "-1" },
        h("p", { class: "purpose" }, view.purpose), h("div", { class: "content" })));
  }
  bar.addEventListener("keydown", (event) => {
    const names = Object.keys(views);
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    const next = names[(names.indexOf(state.view) + move + names.length) % names.length];
    set({ view: next });
    $(`#tab-${next}`).focus();
  });
  subscribe((keys) => update(views, keys));
  document.addEventListener("inspect", () => draw(views));
}

export function update(views, keys) {
  if (!views[state.view]) state.view = Object.keys(views)[0];
  for (const name of Object.keys(views)) {
    const isShown = name === state.view;
    $(`#view-${name}`).hidden = !isShown;
    const tab = $(`#tab-${name}`);
    tab.setAttribute("aria-selected", isShown);
    tab.tabIndex = isShown ? 0 : -1;
    if (isShown && keys.has("view")) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  if (keys.has("view") || views[state.view].needs.some((key) => keys.has(key))) draw(views);
}

function draw(views) {
  views[state.view].render($(`#view-${state.view} .content`));
}
