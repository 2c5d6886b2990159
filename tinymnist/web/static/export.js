// Take something home: the picture, the numbers, the model, this page with its picture in one file.
import { api } from "./api.js";
import { pack } from "./arrays.js";
import { $, save, say } from "./dom.js";
import { grey, paint } from "./paint.js";
import { changes } from "./pipeline.js";
import { state } from "./state.js";

const stem = () => (state.source.name ?? "drawing").replace(/\.\w+$/, "");

const KINDS = {
  async link() {
    await navigator.clipboard.writeText(location.href);
    say("The address is copied. A photo is not part of it.");
  },
  picture() {
    const canvas = paint(document.createElement("canvas"), state.image, 0, grey);
    canvas.toBlob((blob) => save(`${stem()}-28x28.png`, blob));
  },
  async numbers() {
    const { answer, logits, maps, image } = state.run ?? (await api.layers(state.image, changes()));
    const packed = Object.fromEntries(Object.entries(maps).map(([name, map]) => [name, pack(map)]));
    const text = JSON.stringify({ model: state.model, answer, logits, image: pack(image), maps: packed, effects: state.effects, edits: state.edits, off: state.off });
    save(`${stem()}.json`, text, "application/json");
  },
  async python() {
    save(`${state.model}.py`, await api.download(state.model, "py"));
  },
  async onefile() {
    say("Writing the page …");
    save(`${stem()}.html`, await api.onefile(state.blob, state.model, stem()));
    say("");
  },
};

export function build() {
  $("#export").addEventListener("change", async (event) => {
    const kind = event.target.value;
    event.target.value = "";
    try {
      if (!state.image && kind !== "link" && kind !== "python") throw new Error("There is no picture to save yet.");
      await KINDS[kind]();
    } catch (error) {
      say(error.message, true);
    }
  });
}
