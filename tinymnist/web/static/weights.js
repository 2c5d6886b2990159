// The arrays of the layers that somebody has looked at.
import { set, state } from "./state.js";

// The arrays of a layer, fetched when they are first looked at.
export async function weightsOf(layer) {
  const model = state.model;
  if (!state.weights[layer]) {
    // What is too large for a page has no arrays; the inspector says so.
    const weights = await state.api.weights(model, layer).catch(() => ({}));
    if (model === state.model) set({ weights: { ...state.weights, [layer]: weights } });
  }
  return state.weights[layer];
}
