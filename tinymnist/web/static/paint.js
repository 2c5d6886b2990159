// Numbers as pictures: one canvas pixel per number, enlarged by the style sheet.
import { asPictures, pixel } from "./arrays.js";
import { h } from "./dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  const chosen = document.documentElement.dataset.theme;
  return (chosen ? chosen === "dark" : dark.matches)
    ? { zero: [34, 38, 44], more: [120, 190, 255], less: [255, 158, 92] }
    : { zero: [250, 249, 246], more: [20, 84, 158], less: [196, 84, 16] };
}

export const grey = (value) => {
  const level = Math.round(255 * Math.min(Math.max(value, 0), 1));
  return [level, level, level];
};

// Blue is positive, orange is negative, the page's colour is zero.
export function signed(most) {
  const { zero, more, less } = theme();
  return (value) => {
    const share = Math.min(Math.abs(value) / (most || 1), 1) ** 0.7; // small numbers stay visible
    const end = value >= 0 ? more : less;
    return zero.map((start, i) => Math.round(start + share * (end[i] - start)));
  };
}

export const css = (rgb) => `rgb(${rgb.join(" ")})`;

// Black or white, whichever has more contrast (WCAG 2's relative luminance; 0.179 is where they meet).
export function readable(rgb) {
  const [r, g, b] = rgb.map((level) => (level / 255 <= 0.03928 ? level / 3294.6 : ((level / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

// Draw one channel of an array (h, w, c) or (h, w) onto a canvas.
export function paint(canvas, array, channel, colour) {
  const { h: height, w: width } = asPictures(array);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const rgb = colour(pixel(array, row, column, channel));
      image.data.set([...rgb, 255], 4 * (row * width + column));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

export function picture(array, label, channel = 0, colour = grey) {
  const canvas = h("canvas", { class: "pixels", role: "img", "aria-label": label });
  return paint(canvas, array, channel, colour);
}

// A frame over a canvas: [top, left, bottom, right] of a picture (height, width).
export function frame(box, height, width, kind = "frame") {
  const [top, left, bottom, right] = box;
  return h("span", {
    class: kind,
    style: {
      top: `${(100 * top) / height}%`,
      left: `${(100 * left) / width}%`,
      height: `${(100 * (bottom - top)) / height}%`,
      width: `${(100 * (right - left)) / width}%`,
    },
  });
}

// Which pixel of an enlarged canvas an event points at.
export function pointed(event, canvas) {
  const area = canvas.getBoundingClientRect();
  const row = Math.floor(((event.clientY - area.top) / area.height) * canvas.height);
  const column = Math.floor(((event.clientX - area.left) / area.width) * canvas.width);
  return [
    Math.min(Math.max(row, 0), canvas.height - 1),
    Math.min(Math.max(column, 0), canvas.width - 1),
  ];
}
