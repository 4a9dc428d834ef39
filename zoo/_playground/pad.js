"use strict";
// The pad that a digit is drawn on, with a mouse, a finger, a pen or the keys.
//
// A drawing is a list of strokes, and a stroke a list of points [x, y] from 0
// to 1. How much ink they leave is computed here and not read from the screen:
// it is the same in every browser.

const PAD_SIDE = 4 * SIDE; // pixels of ink
const PEN_RADIUS = 4.5; // of them
const KEY_STEP = 1 / SIDE; // how far an arrow key moves the pen
const ARROWS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};

/** Return the ink that strokes leave, 0 to 1, as an image. */
function inkOf(strokes) {
  const ink = imageOf(PAD_SIDE, PAD_SIDE, () => 0);
  for (const stroke of strokes) {
    stroke.forEach((point, i) => addLine(ink, stroke[i - 1] ?? point, point));
  }
  return ink;
}

/** Draw a line with a round pen. */
function addLine(ink, from, to) {
  const [x0, y0, x1, y1] = [...from, ...to].map((place) => place * PAD_SIDE);
  const right = x1 - x0, down = y1 - y0, square = right ** 2 + down ** 2;
  const reach = PEN_RADIUS + 1, last = PAD_SIDE - 1;
  const top = Math.max(Math.floor(Math.min(y0, y1) - reach), 0);
  const bottom = Math.min(Math.ceil(Math.max(y0, y1) + reach), last);
  const left = Math.max(Math.floor(Math.min(x0, x1) - reach), 0);
  const end = Math.min(Math.ceil(Math.max(x0, x1) + reach), last);
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= end; column++) {
      const x = column + 0.5 - x0, y = row + 0.5 - y0;
      const along = square ? (x * right + y * down) / square : 0;
      const t = Math.min(Math.max(along, 0), 1);
      const distance = Math.hypot(x - t * right, y - t * down);
      const share = Math.min(Math.max(PEN_RADIUS + 0.5 - distance, 0), 1);
      const place = row * PAD_SIDE + column;
      ink.data[place] = Math.max(ink.data[place], share);
    }
  }
}

class Pad {
  /** Make a canvas a pad.
   *
   * Args:
   *   canvas: The canvas.
   *   changed: A function of the time of what happened, in milliseconds, that
   *     is called whenever the drawing has changed.
   *   say: A function of what people hear who do not see the pad.
   */
  constructor(canvas, changed, say) {
    this.canvas = canvas;
    this.strokes = [];
    this.cursor = [0.5, 0.5];
    this.isDown = false; // the pen that the keys move
    this._changed = changed;
    this._say = say;
    canvas.addEventListener("pointerdown", (event) => this._press(event));
    canvas.addEventListener("pointermove", (event) => this._move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => this._pointer = null);
    }
    canvas.addEventListener("keydown", (event) => this._key(event));
    canvas.addEventListener("focus", () => this.draw());
    canvas.addEventListener("blur", () => this._lift());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  get ink() {
    return inkOf(this.strokes);
  }

  /** Take other strokes instead of those that are there. */
  replace(strokes) {
    this.strokes = strokes;
    this.isDown = false;
    this._pointer = null;
    this._update(performance.now());
  }

  clear() {
    this.replace([]);
  }

  undo() {
    this.replace(this.strokes.slice(0, -1));
  }

  draw() {
    const {canvas} = this, context = canvas.getContext("2d");
    const side = Math.round(canvas.clientWidth * devicePixelRatio) || PAD_SIDE;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    context.clearRect(0, 0, side, side);
    context.strokeStyle = "#ffffff";
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = 2 * PEN_RADIUS / PAD_SIDE * side;
    for (const stroke of this.strokes) {
      context.beginPath();
      // A line to where it starts is a dot.
      for (const [x, y] of [stroke[0], ...stroke]) {
        context.lineTo(x * side, y * side);
      }
      context.stroke();
    }
    if (canvas.matches(":focus-visible")) this._drawCursor(context, side);
  }

  _drawCursor(context, side) {
    const [x, y] = this.cursor.map((place) => place * side);
    context.lineWidth = side / 100;
    context.strokeStyle = this.isDown ? "#e8973f" : "#6cb2ee";
    context.beginPath();
    context.arc(x, y, side / 25, 0, 2 * Math.PI);
    context.stroke();
  }

  _update(time) {
    this.draw();
    this._changed(time);
  }

  // --- mouse, finger and pen ---------------------------------------------

  _press(event) {
    if (event.button !== 0 || this._pointer) return;
    this._lift();
    this._pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.strokes.push([this._pointOf(event)]);
    this._update(event.timeStamp);
  }

  _move(event) {
    if (event.pointerId !== this._pointer) return;
    // Between two pictures a fast pen is at several places.
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      this.strokes.at(-1).push(this._pointOf(each));
    }
    this._update(event.timeStamp);
  }

  _pointOf(event) {
    const {left, top, width, height} = this.canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  // --- keys --------------------------------------------------------------

  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key !== "z") return;
      this.undo();
    } else if (event.key in ARROWS) {
      this._step(ARROWS[event.key], event.timeStamp);
    } else if (event.key === " " || event.key === "Enter") {
      this._turnPen(event.timeStamp);
    } else if (event.key === "Backspace") {
      this.undo();
      this._say("The last stroke is gone.");
    } else if (event.key === "Delete" || event.key === "Escape") {
      this.clear();
      this._say("The pad is empty.");
    } else if (event.key in EXAMPLES) {
      this.replace(exampleOf(event.key));
    } else return;
    event.preventDefault(); // or the page scrolls
  }

  _step(move, time) {
    this.cursor = this.cursor.map(
      (place, i) => Math.min(Math.max(place + move[i] * KEY_STEP, 0), 1));
    if (!this.isDown) return this.draw();
    this.strokes.at(-1).push(this.cursor);
    this._update(time);
  }

  _turnPen(time) {
    this.isDown = !this.isDown;
    const [x, y] = this.cursor.map((place) => Math.round(100 * place));
    this._say(`Pen ${this.isDown ? "down" : "up"}, ${x} % from the left, ` +
      `${y} % from the top.`);
    if (this.isDown) this.strokes.push([this.cursor]);
    this._update(time);
  }

  _lift() {
    this.isDown = false;
    this.draw();
  }
}

// --- digits that are drawn for those who would rather not ----------------

/** Return points on a part of an ellipse, from one angle to another. */
function arc(x, y, width, height, from, to) {
  const count = Math.ceil(Math.abs(to - from) / 10);
  return Array.from({length: count + 1}, (_, i) => {
    const angle = (from + (to - from) * i / count) * Math.PI / 180;
    return [x + width * Math.cos(angle), y + height * Math.sin(angle)];
  });
}

// In pixels of 28; angles in degrees, from the right on and downwards.
const EXAMPLES = {
  0: [arc(14, 14, 6, 9, -60, 300)],
  1: [[[11, 8], [15, 4.5], [14, 23.5]]],
  2: [[...arc(14, 9.5, 5.5, 5, -170, 30), [8, 22.5], [20.5, 22]]],
  3: [[...arc(13, 9, 5.5, 4.5, -150, 90), ...arc(13, 18.5, 6.5, 5, -90, 140)]],
  4: [[[11, 5], [7.5, 15], [20.5, 14.5]], [[17, 7], [15.5, 23.5]]],
  5: [
    [[10, 5], [9, 13], ...arc(13, 17.5, 6.5, 5.5, -125, 140)],
    [[10, 5], [20, 4.5]],
  ],
  6: [[[17.5, 4.5], [11, 11], ...arc(13.5, 18, 5, 5.5, -160, 200)]],
  7: [[[8, 6], [20, 5.5], [13, 23.5]]],
  8: [[
    ...arc(14, 9.5, 4.5, 4.5, -60, -270), ...arc(14, 18.5, 5.5, 4.8, -90, 270),
    ...arc(14, 9.5, 4.5, 4.5, 90, -60),
  ]],
  9: [[...arc(14, 9.5, 5, 5, -20, -380), [18, 15], [16, 23.5]]],
};

/** Return the strokes of a digit. */
function exampleOf(digit) {
  return EXAMPLES[digit].map(
    (stroke) => stroke.map((point) => point.map((place) => place / SIDE)));
}
