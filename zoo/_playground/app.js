"use strict";
// The page: a pad, and a card for each network.

const SETTLED_MS = 800; // without a stroke, after which the answers are said

/** A network on the page. */
class Card {
  constructor({name, title, facts, onnx}) {
    this.name = name;
    this.views = [];
    this.time = element("span");
    this.element = element("article", {"aria-labelledby": `${name}-name`},
      element("h3", {id: `${name}-name`, text: name}),
      element("p", {text: title}),
      element("p", {class: "soft", text: facts}, this.time));
    try {
      this.network = new Network(bytesOf(onnx));
      this.addViews();
    } catch (error) {
      this.network = null;
      this.element.append(element("p", {
        class: "notice", role: "alert",
        text: `${name} cannot be shown. ${error.message}`,
      }));
    }
  }

  addViews() {
    const {network, views} = this, [{name, shape}] = network.inputs;
    const gives = (name) => network.outputs.some((x) => x.name === name);
    const sizes = [1, ...shape.slice(1)];
    const zeros = {shape: sizes, data: new Uint8Array(sizeOf(sizes))};
    const blank = network.run(new Map([[name, zeros]]));
    this.takesImages = name === "image";
    this.layers = new Layers(network, this.name, blank);
    if (gives("probabilities")) {
      this.answer = new Answer(network);
      views.push(this.answer);
      if (Rows.layerOf(network)) views.push(new Rows(network, this.answer));
    }
    if (gives("pixels")) {
      views.push(gives("code") || !this.takesImages
        ? new Code(network, (found) => this.take(found)) : new Picture());
    }
    views.push(this.layers);
    this.element.append(...views.map((view) => view.element));
    this.draw(null);
  }

  /** Show what the network makes of pixels; null is no drawing. */
  draw(pixels) {
    if (!this.network || !this.takesImages) return;
    const start = performance.now();
    const image = {shape: [1, SIDE, SIDE, 1], data: pixels};
    this.values = pixels && this.network.run(new Map([["image", image]]));
    const time = performance.now() - start;
    this.time.textContent = pixels ? `, ${time.toFixed(1)} ms` : "";
    for (const view of this.views) view.draw(this.values);
  }

  /** Show what was computed of another code. */
  take(found) {
    this.values = found && new Map([...this.values ?? [], ...found]);
    this.layers.draw(this.values);
  }

  /** Show the same in other colors. */
  repaint() {
    for (const view of this.views) view.repaint?.();
  }
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** The drawing and all the networks, kept in step. */
class Playground {
  constructor(entries) {
    const find = (id) => document.getElementById(id);
    this.seen = find("seen");
    this.hint = find("hint");
    this.time = find("time");
    this.said = find("said");
    this.prepares = find("prepares");
    this.cards = entries.map((entry) => new Card(entry));
    find("networks").append(...this.cards.map((card) => card.element));
    this.summaries = this.cards.filter(({answer}) => answer).map((card) => {
      const summary = element("span");
      find("answers").append(
        element("dt", {text: card.name}), element("dd", {}, summary));
      return {card, summary};
    });
    this.pad = new Pad(
      find("pad"), (time) => this.ask(time), (words) => this.say(words));
    this.addControls(find);
    if (!this.cards.some((card) => card.takesImages)) this.leaveOutPad(find);
    this.update();
  }

  /** Show no pad where no network would see what is drawn. */
  leaveOutPad(find) {
    find("drawing").hidden = true;
    find("title").textContent = "Move a code";
    find("about").textContent = "See what networks draw from the numbers of " +
      "a code. They run in this page.";
  }

  addControls(find) {
    const redraw = () => this.ask(performance.now());
    find("undo").addEventListener("click", () => this.pad.undo());
    find("clear").addEventListener("click", () => this.pad.clear());
    this.prepares.addEventListener("change", redraw);
    for (const digit of Object.keys(EXAMPLES)) {
      const made = button(digit, () => this.pad.replace(exampleOf(digit)));
      made.setAttribute("aria-label", `Draw a ${digit} for me`);
      find("examples").append(made);
    }
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => {
      forgetScales();
      for (const card of this.cards) card.repaint();
    });
  }

  /** Have the drawing shown with the next picture of the screen.
   *
   * Args:
   *   time: When it has changed, in milliseconds.
   */
  ask(time) {
    if (this.asked !== undefined) return; // strokes since then come along
    this.asked = time;
    requestAnimationFrame(() => {
      const {asked} = this;
      this.asked = undefined;
      this.update();
      // That comes after the picture.
      setTimeout(() => this.showTime(performance.now() - asked));
    });
  }

  update() {
    const pixels = this.pixels();
    paintImage(this.seen, pixels ?? new Uint8Array(SIDE * SIDE));
    this.hint.hidden = pixels !== null;
    for (const card of this.cards) card.draw(pixels);
    for (const {card, summary} of this.summaries) {
      summary.textContent = card.answer.summary;
    }
    clearTimeout(this.settling);
    if (pixels) this.settling = setTimeout(() => this.sayAnswers(), SETTLED_MS);
  }

  /** Return what the networks see; null if nothing is drawn. */
  pixels() {
    const {ink} = this.pad;
    if (this.prepares.checked) return prepareDigit(ink);
    return ink.data.some((share) => share > 0) ? leaveAsDrawn(ink) : null;
  }

  showTime(milliseconds) {
    this.time.textContent =
      `From stroke to picture: ${milliseconds.toFixed(0)} ms`;
  }

  sayAnswers() {
    this.say(this.summaries.map(
      ({card, summary}) => `${card.name}: ${summary.textContent}.`).join(" "));
  }

  say(words) {
    this.said.textContent = words;
  }
}

new Playground(JSON.parse(document.getElementById("files").textContent));
