// Arrays as the server packs them: shape, and base64 of float32. Layout (h, w, c), row by row.
export function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  return { shape: packed.shape, data: new Float32Array(bytes.buffer) };
}

export function pack(array) {
  const bytes = new Uint8Array(array.data.buffer, array.data.byteOffset, array.data.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return { shape: array.shape, data: btoa(text) };
}

export const size = (shape) => shape.reduce((product, side) => product * side, 1);

// One number of an array; 0 outside, as padding is.
export function at(array, ...index) {
  let place = 0;
  for (let axis = 0; axis < array.shape.length; axis++) {
    if (index[axis] < 0 || index[axis] >= array.shape[axis]) return 0;
    place = place * array.shape[axis] + index[axis];
  }
  return array.data[place];
}

// A layer's output as channels of pictures: vectors become a single row.
export function asPictures(array) {
  if (array.shape.length === 3) return { h: array.shape[0], w: array.shape[1], c: array.shape[2] };
  if (array.shape.length === 2) return { h: array.shape[0], w: array.shape[1], c: 1 };
  return { h: 1, w: size(array.shape), c: 1 };
}

export const pixel = (array, row, column, channel) => {
  const { w, c } = asPictures(array);
  return array.data[(row * w + column) * c + channel];
};

// Where an array is largest: [row, column, channel].
export function strongest(array) {
  const { w, c } = asPictures(array);
  let best = 0;
  array.data.forEach((value, i) => Math.abs(value) > Math.abs(array.data[best]) && (best = i));
  return [Math.floor(best / (w * c)), Math.floor(best / c) % w, best % c];
}

// The mean of all channels: (h, w, c) -> (h, w).
export function meanMap(array) {
  const { h, w, c } = asPictures(array);
  const data = new Float32Array(h * w);
  array.data.forEach((value, i) => (data[Math.floor(i / c)] += value / c));
  return { shape: [h, w], data };
}

export function largest(array) {
  let most = 0;
  for (const value of array.data) most = Math.max(most, Math.abs(value));
  return most;
}
