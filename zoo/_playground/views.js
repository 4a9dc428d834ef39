"use strict";
// What is to be seen of a network: what it answers, draws and has inside. A
// number is one pixel of a canvas, which the style sheet makes larger.

// --- numbers as pictures -------------------------------------------------

const SHEET = [264, 240]; // pixels of the screen that maps may take, about
const HIGHEST_MAP = 112; // of them
const LARGEST_NUMBER = 12; // of them
const LEVELS = 255; // of a color, on either side of zero

// The colors of -1, 0 and 1: of pixels, and of what is signed, which fades
// towards zero.
const SCALES = {
  grey: () => [[0, 0, 0], [0, 0, 0], [255, 255, 255]],
  signed: () => ["--low", "--zero", "--high"].map(colorOf),
};
const colorsOf = new Map(); // of each scale, once it is used

/** Return a color of the style sheet, "#rrggbb", as three numbers. */
function colorOf(variable) {
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue(variable).trim();
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

/** Return the colors of a scale as pixels of a canvas, from -1 to 1. */
function scaleOf(name) {
  if (!colorsOf.has(name)) {
    const [low, zero, high] = SCALES[name]();
    const colors = new Uint8ClampedArray(4 * (2 * LEVELS + 1)).fill(255);
    for (let level = -LEVELS; level <= LEVELS; level++) {
      const end = level < 0 ? low : high, share = Math.abs(level) / LEVELS;
      zero.forEach((start, i) => {
        colors[4 * (level + LEVELS) + i] = start + (end[i] - start) * share;
      });
    }
    colorsOf.set(name, new Uint32Array(colors.buffer));
  }
  return colorsOf.get(name);
}

/** Look at the style sheet anew: it has other colors now. */
function forgetScales() {
  colorsOf.clear();
}

/** Return what a layer gives for one image, as maps.
 *
 * Args:
 *   tensor: What it gives; of several images the first one is taken.
 *   channelsFirst: Whether the maps come before their sides.
 *
 * Returns:
 *   {count, height, width, data}, map after map. Of a vector each number is a
 *   map, but for one of an image; of a sequence all of it is one.
 */
function mapsOf({shape, data}, channelsFirst) {
  const sizes = shape.slice(1), size = sizeOf(sizes);
  if (sizes.length < 2 && size === SIDE * SIDE) {
    return {count: 1, height: SIDE, width: SIDE, data};
  }
  if (sizes.length < 2) return {count: size, height: 1, width: 1, data};
  if (sizes.length === 2) {
    const [height, width] = sizes;
    return {count: 1, height, width, data};
  }
  if (channelsFirst) {
    const [count, height, width] = sizes;
    return {count, height, width, data};
  }
  const [height, width, count] = sizes, plane = height * width;
  const ordered = data.slice(0, size).map(
    (_, i) => data[i % plane * count + Math.floor(i / plane)]);
  return {count, height, width, data: ordered};
}

/** Return the states of a recurrent layer as one map, a row for each step. */
function statesOf({shape: [steps, directions, , units], data}) {
  return {count: 1, height: steps, width: directions * units, data};
}

/** Return how maps lie on a canvas.
 *
 * Returns:
 *   How many are in a row, and pixels: the gap between two, what all of them
 *   take to the right and down, and how large one is on the screen.
 */
function layoutOf({count, height, width}) {
  const gap = height * width > 1 ? 1 : 0;
  const across = width + gap, along = height + gap;
  let zoom = Math.min(Math.floor(HIGHEST_MAP / height), LARGEST_NUMBER) || 1;
  const fitting = () => Math.floor((SHEET[0] / zoom + gap) / across) || 1;
  const rows = () => Math.ceil(count / fitting());
  const isTooLarge = () =>
    zoom * width > SHEET[0] || zoom * rows() * along > SHEET[1];
  while (zoom > 1 && isTooLarge()) zoom--;
  const columns = Math.ceil(count / rows()); // in rows of the same length
  const right = columns * across - gap, down = rows() * along - gap;
  return {columns, gap, zoom, right, down};
}

/** Paint maps side by side.
 *
 * Args:
 *   canvas: Where to.
 *   maps: What `mapsOf` returns.
 *   limit: The number that has the full color.
 *   scale: A key of `SCALES`.
 */
function paint(canvas, maps, limit, scale) {
  const {count, height, width, data} = maps;
  const {columns, gap, zoom, right, down} = layoutOf(maps);
  const colors = scaleOf(scale), pixels = new Uint32Array(right * down);
  for (let map = 0, i = 0; map < count; map++) {
    const top = Math.floor(map / columns) * (height + gap);
    const left = map % columns * (width + gap);
    for (let y = top; y < top + height; y++) {
      for (let x = left; x < left + width; x++) {
        const level = Math.round(LEVELS * data[i++] / limit);
        pixels[y * right + x] = colors[level + LEVELS];
      }
    }
  }
  put(canvas, pixels, right, zoom);
}

/** Put pixels on a canvas, each as large as so many of the screen. */
function put(canvas, pixels, width, zoom) {
  const height = pixels.length / width;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    canvas.style.width = `${zoom * width}px`;
  }
  const bytes = new Uint8ClampedArray(pixels.buffer);
  canvas.getContext("2d").putImageData(new ImageData(bytes, width), 0, 0);
}

function paintImage(canvas, data) {
  paint(canvas, {count: 1, height: SIDE, width: SIDE, data}, 255, "grey");
}

/** Say which number is under the pointer; "" if none is. */
function numberUnder({clientX, clientY}, canvas, maps) {
  const {count, height, width, data} = maps, {gap, columns} = layoutOf(maps);
  const box = canvas.getBoundingClientRect();
  const x = Math.floor((clientX - box.left) / box.width * canvas.width);
  const y = Math.floor((clientY - box.top) / box.height * canvas.height);
  const column = Math.floor(x / (width + gap)), right = x % (width + gap);
  const row = Math.floor(y / (height + gap)), down = y % (height + gap);
  const map = row * columns + column;
  if (Math.min(x, y) < 0 || map >= count) return "";
  if (right >= width || down >= height) return ""; // between two maps
  const number = inWords(data[(map * height + down) * width + right]);
  if (height * width === 1) return `unit ${map + 1}: ${number}`;
  const place = `row ${down + 1}, column ${right + 1}: ${number}`;
  return count > 1 ? `map ${map + 1}, ${place}` : place;
}

// --- words ---------------------------------------------------------------

function inWords(number) {
  const size = Math.abs(number);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return String(Number(number.toFixed(digits))).replace("-", "−");
}

/** Write a share; what is almost all of it is not rounded to 100 %. */
function percent(share) {
  if (share === 1 || share < 0.99) return `${Math.round(100 * share)} %`;
  return `${(Math.floor(1000 * share) / 10).toFixed(1)} %`;
}

function sizesOf({count, height, width}) {
  if (height * width === 1) return `${count} units`;
  const sides = `${height} × ${width}`;
  return count === 1 ? sides : `${count} maps of ${sides}`;
}

/** Return a new element.
 *
 * Args:
 *   name: Its name.
 *   attributes: Its attributes; `text` is what it says.
 *   children: What is in it.
 */
function element(name, {text = "", ...attributes} = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(text, ...children);
  return made;
}

function button(text, pressed) {
  const made = element("button", {type: "button", text});
  made.addEventListener("click", pressed);
  return made;
}

/** Say whether there is room to show all at once. */
function isWide() {
  return matchMedia("(min-width: 50rem)").matches;
}

/** Return the place of the largest number. */
function largestOf(numbers) {
  return numbers.indexOf(Math.max(...numbers));
}

// --- views ---------------------------------------------------------------
//
// A view has an element, and a function `draw` of what a network has computed
// of a drawing: a Map of tensors by their names, or null if nothing is drawn.

/** Which class a network finds likeliest, and how likely each one is. */
class Answer {
  constructor(network) {
    const {name, shape} = network.outputs.find(
      (value) => value.name === "probabilities");
    this.name = name;
    this.labels = network.labels.length
      ? network.labels : Array.from({length: shape[1]}, (_, i) => String(i));
    this.best = element("strong");
    this.share = element("span");
    this.rows = this.labels.map((label) => {
      const bar = element("div", {class: "bar"}), share = element("td");
      const row = element("tr", {},
        element("th", {scope: "row", text: label}),
        element("td", {class: "track"}, bar), share);
      return {row, bar, share};
    });
    this.element = element("section", {"aria-label": "Answer"},
      element("p", {class: "answer"}, this.best, " ", this.share),
      element("table", {}, ...this.rows.map(({row}) => row)));
  }

  draw(values) {
    const shares = values?.get(this.name).data;
    const best = shares ? largestOf(shares) : -1;
    this.best.textContent = shares ? this.labels[best] : "–";
    this.share.textContent = shares ? percent(shares[best]) : "";
    this.rows.forEach(({row, bar, share}, i) => {
      row.classList.toggle("best", i === best);
      bar.style.width = shares ? `${100 * shares[i]}%` : "0";
      share.textContent = shares ? percent(shares[i]) : "–";
    });
  }

  get summary() {
    return `${this.best.textContent} ${this.share.textContent}`.trim();
  }
}

/** What a recurrent network would say after each row of the image. */
class Rows {
  constructor(network, answer) {
    const first = answer.labels[0], last = answer.labels.at(-1);
    this.network = network;
    this.answer = answer;
    this.layer = Rows.layerOf(network);
    this.canvas = element("canvas", {
      role: "img",
      "aria-label":
        "The image, and beside each of its rows how likely each class is then",
    });
    this.words = element("figcaption");
    this.read = element("input", {
      type: "range", min: 1, max: SIDE, value: SIDE, "aria-label": "Rows read",
    });
    this.read.addEventListener("input", () => this.repaint());
    this.element = element("section", {"aria-label": "Row by row"},
      element("h4", {text: "Row by row"}),
      element("figure", {}, this.canvas, this.words, this.read),
      element("p", {
        class: "soft",
        text: `Beside each row: how likely ${first} to ${last} are by then.`,
      }));
  }

  /** Return the recurrent layer whose last state is all that the rest takes. */
  static layerOf(network) {
    return network.layers.findLast(({last}) => last);
  }

  draw(values) {
    this.read.disabled = !values;
    this.image = values?.get("image").data ?? new Uint8Array(SIDE * SIDE);
    this.shares = values && this.sharesOf(values);
    this.repaint();
  }

  sharesOf(values) {
    // The states of all rows, as if they were the last ones of a batch.
    const {shape: [rows, , , units], data} = values.get(this.layer.sequence);
    const states = {shape: [1, rows, units], data}, {name} = this.answer;
    return this.network.run(new Map([[this.layer.last, states]]), [name])
      .get(name);
  }

  repaint() {
    if (!this.shares) {
      this.words.textContent = "It reads the image from top to bottom.";
      const {length} = this.answer.labels;
      this.paint(0, {shape: [SIDE, length]});
      return;
    }
    const {shape: [rows, classes], data} = this.shares;
    const read = Number(this.read.value);
    const shares = data.subarray((read - 1) * classes, read * classes);
    const best = largestOf(shares);
    this.words.textContent = `After ${read} of ${rows} rows it says ` +
      `${this.answer.labels[best]}, ${percent(shares[best])}.`;
    this.paint(read, this.shares);
  }

  paint(read, {shape: [rows, classes], data}) {
    const wide = 3, start = SIDE + 2, width = start + wide * classes;
    const pixels = new Uint32Array(width * rows);
    const grey = scaleOf("grey"), signed = scaleOf("signed");
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < SIDE; x++) {
        pixels[y * width + x] = grey[this.image[y * SIDE + x] + LEVELS];
      }
      for (let x = start; x < width; x++) {
        const place = y * classes + Math.floor((x - start) / wide);
        const share = y < read ? data[place] : 0; // it has not seen the others
        pixels[y * width + x] = signed[Math.round(LEVELS * share) + LEVELS];
      }
    }
    put(this.canvas, pixels, width, 4);
  }
}

/** A picture that a network makes of the image. */
class Picture {
  constructor() {
    this.canvas = element("canvas", {role: "img", "aria-label": "Its picture"});
    this.element = element("section", {"aria-label": "Picture"},
      element("figure", {}, this.canvas));
  }

  draw(values) {
    this.canvas.hidden = !values;
    if (values) paintImage(this.canvas, values.get("pixels").data);
  }
}

const SAMPLES = 16; // pictures at a time
const PRIOR_REACH = 3; // standard deviations of a code that sliders reach

/** A picture that a network draws, and its code, which can be moved. */
class Code {
  /** Args:
   *   network: The network.
   *   moved: A function that is called with what was computed anew, whenever
   *     somebody has moved the code.
   */
  constructor(network, moved) {
    const values = [...network.inputs, ...network.outputs];
    this.network = network;
    this.moved = moved;
    this.length = values.find(({name}) => name === "code").shape[1];
    this.isGenerator = network.inputs[0].name === "code";
    this.isVariational = values.some(({name}) => name === "log_variance");
    this.canvas = element("canvas", {role: "img", "aria-label": "Picture"});
    this.words = element("figcaption");
    this.sliders = Array.from({length: this.length}, (_, i) => this.slider(i));
    this.back = button("Back to the drawing", () => {
      this.draw(this.drawn);
      this.moved(this.drawn);
    });
    this.back.hidden = this.isGenerator;
    this.near = button("Pictures near it", () => this.sample(this.drawn));
    this.near.hidden = !this.isVariational;
    const sliders = element("details", {},
      element("summary", {text: `Code of ${this.length} numbers`}),
      element("div", {class: "sliders"}, ...this.sliders));
    sliders.open = isWide();
    this.element = element("section", {"aria-label": "Picture and code"},
      element("figure", {}, this.canvas, this.words), sliders,
      element("p", {class: "buttons"}, this.back, this.near));
    if (this.isGenerator || this.isVariational) this.addSamples();
    if (this.isGenerator) this.take(normals(this.length));
    else this.draw(null);
  }

  slider(i) {
    const made = element("input", {
      type: "range", step: "any", min: -PRIOR_REACH, max: PRIOR_REACH,
      "aria-label": `Number ${i + 1} of the code`,
    });
    made.addEventListener("input", () => {
      const code = this.code.slice();
      code[i] = Number(made.value);
      this.take(code);
    });
    return made;
  }

  addSamples() {
    this.samples = element("canvas", {
      role: "img", "aria-label": `${SAMPLES} pictures of codes drawn at random`,
    });
    const more = button("New pictures", () => this.sample(null));
    this.element.lastChild.append(more);
    this.element.append(element("figure", {}, this.samples));
    this.sample(null);
  }

  /** Paint pictures of random codes: of the prior, or near that of a drawing.
   */
  sample(values) {
    const noise = normals(SAMPLES * this.length);
    const mean = values?.get("code").data;
    const logVariance = values?.get("log_variance").data;
    const codes = !values ? noise : noise.map((x, i) => {
      const place = i % this.length;
      return mean[place] + x * Math.exp(logVariance[place] / 2);
    });
    const {data} = this.decode(codes).get("pixels");
    const maps = {count: SAMPLES, height: SIDE, width: SIDE, data};
    paint(this.samples, maps, 255, "grey");
  }

  decode(data) {
    const code = {shape: [data.length / this.length, this.length], data};
    return this.network.run(new Map([["code", code]]), ["pixels"]);
  }

  /** Show another code than the drawing's. */
  take(code) {
    const found = this.decode(code);
    this.show(found, "The picture of the code below");
    this.back.disabled = false;
    this.moved(found);
  }

  draw(values) {
    if (this.isGenerator) return;
    this.drawn = values;
    this.back.disabled = true;
    this.near.disabled = !values;
    if (!values) {
      const zeros = this.decode(new Float32Array(this.length));
      this.show(zeros, "The picture of a code of zeros");
      return;
    }
    if (!this.isVariational) this.widen(values.get("code").data);
    this.show(values, "The network's picture of the drawing");
  }

  /** Let sliders reach beyond a code, about which no prior says anything. */
  widen(code) {
    const reach = Math.ceil(1.5 * Math.max(...code.map(Math.abs), 1));
    for (const slider of this.sliders) {
      slider.min = -reach;
      slider.max = reach;
    }
  }

  show(values, words) {
    this.code = values.get("code").data;
    paintImage(this.canvas, values.get("pixels").data);
    this.words.textContent = words;
    this.code.forEach((number, i) => this.sliders[i].value = number);
  }
}

/** Draw numbers from the normal distribution, as Box and Muller do. */
function normals(count) {
  return Float32Array.from({length: count}, () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) *
    Math.cos(2 * Math.PI * Math.random()));
}

/** What every layer gives. */
class Layers {
  /** Args:
   *   network: The network.
   *   name: What it is called.
   *   blank: What it computes of nothing, which has the right shapes.
   */
  constructor(network, name, blank) {
    this.blank = blank;
    this.rows = network.layers.map(
      (layer, i) => this.row(layer, `${name}-layer-${i + 1}`));
    this.tip = element("p", {class: "tip", "aria-hidden": true, hidden: ""});
    this.element = element("details", {},
      element("summary", {text: `${this.rows.length} layers`}),
      ...this.rows.map(({figure}) => figure), this.tip);
    this.element.open = isWide();
    this.element.addEventListener("toggle", () => this.repaint());
  }

  row(layer, id) {
    const canvas = element("canvas", {role: "img", "aria-labelledby": id});
    const facts = element("span", {class: "soft"});
    const caption = element("figcaption", {id},
      element("code", {text: layer.path}), " ", facts);
    const figure = element("figure", {}, caption, canvas);
    const row = {layer, canvas, facts, figure, maps: null};
    canvas.addEventListener("pointermove", (event) => {
      this.point(event, numberUnder(event, canvas, row.maps));
    });
    canvas.addEventListener("pointerleave", (event) => this.point(event, ""));
    return row;
  }

  /** Write a number beside the pointer. */
  point({clientX, clientY}, words) {
    this.tip.textContent = words;
    this.tip.hidden = !words;
    // On the side where there is more room.
    const isLeft = clientX < innerWidth / 2;
    this.tip.style.left = isLeft ? `${clientX + 12}px` : "auto";
    this.tip.style.right = isLeft ? "auto" : `${innerWidth - clientX + 12}px`;
    this.tip.style.top = `${clientY + 12}px`;
  }

  draw(values) {
    this.values = values;
    this.repaint();
  }

  repaint() {
    if (this.element.open) this.rows.forEach((row) => this.showRow(row));
  }

  showRow(row) {
    const {layer, canvas, facts} = row;
    const isThere = this.values?.has(layer.output);
    const values = isThere ? this.values : this.blank;
    const states = values.get(layer.sequence);
    const given = values.get(layer.output);
    const maps = states ? statesOf(states) : mapsOf(given, layer.channelsFirst);
    const size = maps.count * maps.height * maps.width;
    if (!isThere) maps.data = new Float32Array(size);
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < size; i++) {
      low = Math.min(low, maps.data[i]);
      high = Math.max(high, maps.data[i]);
    }
    const what = `${states ? "states, row by row, " : ""}${sizesOf(maps)}`;
    facts.textContent =
      isThere ? `${what}, ${inWords(low)} to ${inWords(high)}` : what;
    row.maps = maps;
    paint(canvas, maps, Math.max(high, -low) || 1, "signed");
  }
}
