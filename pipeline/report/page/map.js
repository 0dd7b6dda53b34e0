// Maps of the features: a mark for each picture, by class in colour and shape, by split filled.
const N_COLOURS = 7;
const MARGIN = 32;
const SHAPES = [
  (c, x, y, r) => c.arc(x, y, r, 0, 2 * Math.PI),
  (c, x, y, r) => c.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8),
  (c, x, y, r) => polygon(c, [[x, y - r * 1.2], [x + r * 1.1, y + r * 0.8], [x - r * 1.1, y + r * 0.8]]),
  (c, x, y, r) => polygon(c, [[x, y - r * 1.25], [x + r * 1.25, y], [x, y + r * 1.25], [x - r * 1.25, y]]),
  (c, x, y, r) => polygon(c, [[x, y + r * 1.2], [x + r * 1.1, y - r * 0.8], [x - r * 1.1, y - r * 0.8]]),
  (c, x, y, r) => polygon(c, star(x, y, r * 1.35)),
];

function polygon(c, points) {
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.closePath();
}

function star(x, y, r) {
  return [...Array(10).keys()].map((i) => {
    const angle = (i * Math.PI) / 5 - Math.PI / 2;
    const away = i % 2 ? r * 0.45 : r;
    return [x + away * Math.cos(angle), y + away * Math.sin(angle)];
  });
}

function colourOf(number) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--k${number % N_COLOURS}`).trim();
}

class FeatureMap {
  constructor(root) {
    this.root = root;
    this.run = data.runs[Number(root.dataset.run)];
    this.set = data.sets[this.run.set];
    this.canvas = root.querySelector(".stage canvas");
    this.card = root.querySelector(".card");
    this.off = { class: new Set(), split: new Set() };
    this.at = -1;
    this.called = new Map(this.run.picture.map((place, i) => [place, i]));
    this.method = root.querySelector("input[type=radio]").value;
    this.controls();
    this.events();
    this.draw();
  }

  controls() {
    const all = element("button", "all", "all");
    const none = element("button", "none");
    for (const [button, on] of [[all, true], [none, false]]) {
      button.type = "button";
      button.setAttribute("aria-label", `${button.textContent} classes`);
      button.addEventListener("click", () => this.switchAll(on));
    }
    const classes = this.root.querySelector(".classes");
    this.boxes("class", classes, this.set.classes, true);
    if (this.set.classes.length > 2) classes.querySelector("legend").after(all, none);
    this.boxes("split", this.root.querySelector(".splits"), this.set.splits, false);
    for (const radio of this.root.querySelectorAll("input[type=radio]")) {
      radio.addEventListener("change", () => this.turn(radio.value));
    }
    this.tell();
  }

  boxes(kind, fieldset, names, marked) {
    names.forEach((name, number) => {
      const label = element("label");
      const box = element("input");
      box.type = "checkbox";
      box.checked = true;
      box.dataset[kind] = number;
      box.addEventListener("change", () => this.switch(kind, number, box.checked));
      label.append(box);
      if (marked) label.append(this.legend(number));
      label.append(named(name));
      fieldset.append(label);
    });
  }

  legend(number) {
    const canvas = element("canvas", undefined, "marker");
    canvas.width = canvas.height = 32;
    canvas.setAttribute("aria-hidden", "true");
    canvas.dataset.number = number;
    return canvas;
  }

  switch(kind, number, on) {
    if (on) this.off[kind].delete(number);
    else this.off[kind].add(number);
    this.draw();
  }

  switchAll(on) {
    for (const box of this.root.querySelectorAll("input[data-class]")) {
      box.checked = on;
      if (on) this.off.class.delete(Number(box.dataset.class));
      else this.off.class.add(Number(box.dataset.class));
    }
    this.draw();
  }

  turn(method) {
    this.method = method;
    this.tell();
    this.hide();
    this.draw();
  }

  tell() {
    const radio = this.root.querySelector(`input[value="${this.method}"]`);
    this.root.querySelector(".told").textContent = radio.dataset.told;
  }

  visible(i) {
    const place = this.run.mapped[i];
    return !this.off.class.has(this.set.label[place]) && !this.off.split.has(this.set.split[place]);
  }

  // Where the i-th mapped picture is on the canvas, in CSS pixels; both axes have one scale.
  spot(i) {
    const map = this.run.maps[this.method];
    const { x, y, scale } = this.frame;
    return [this.width / 2 + (map.x[i] - x) * scale, this.height / 2 - (map.y[i] - y) * scale];
  }

  fit() {
    const map = this.run.maps[this.method];
    const ends = (values) => values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const [[left, right], [low, high]] = [ends(map.x), ends(map.y)];
    const scale = Math.min((this.width - MARGIN) / (right - left || 1), (this.height - MARGIN) / (high - low || 1));
    this.frame = { x: (left + right) / 2, y: (low + high) / 2, scale };
  }

  draw() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    [this.width, this.height] = [box.width, box.height];
    this.fit();
    this.canvas.width = Math.round(box.width * ratio);
    this.canvas.height = Math.round(box.height * ratio);
    const c = this.canvas.getContext("2d");
    c.scale(ratio, ratio);
    const colours = [...Array(N_COLOURS).keys()].map(colourOf);
    const radius = this.run.mapped.length > 1500 ? 2.6 : 3.6;
    const shown = this.run.mapped.map((_, i) => i).filter((i) => this.visible(i));
    const isTrain = (i) => this.set.splits[this.set.split[this.run.mapped[i]]] === "train";
    for (const i of shown.filter(isTrain)) this.mark(c, i, radius, colours, false);
    for (const i of shown.filter((i) => !isTrain(i))) this.mark(c, i, radius + 0.6, colours, true);
    this.rings(c, shown, radius);
    this.drawLegend(colours);
    const count = `${shown.length.toLocaleString("en")} of ${this.run.mapped.length.toLocaleString("en")} pictures shown`;
    const status = this.root.querySelector(".shown");
    if (status.textContent !== count) status.textContent = count;
  }

  mark(c, i, radius, colours, filled) {
    const label = this.set.label[this.run.mapped[i]];
    const [x, y] = this.spot(i);
    c.beginPath();
    SHAPES[label % SHAPES.length](c, x, y, radius);
    c.globalAlpha = filled ? 0.9 : 0.65;
    c.fillStyle = c.strokeStyle = colours[label % N_COLOURS];
    c.lineWidth = 1.1;
    if (filled) c.fill();
    else c.stroke();
    c.globalAlpha = 1;
  }

  rings(c, shown, radius) {
    const style = getComputedStyle(this.root);
    c.strokeStyle = style.color;
    c.lineWidth = 1.4;
    for (const i of shown) {
      const at = this.called.get(this.run.mapped[i]);
      if (at === undefined || this.run.given[at] === this.run.called[at]) continue;
      const [x, y] = this.spot(i);
      c.beginPath();
      c.arc(x, y, radius + 4, 0, 2 * Math.PI);
      c.stroke();
    }
    if (this.at < 0) return;
    const [x, y] = this.spot(this.at);
    c.lineWidth = 2.5;
    c.strokeStyle = style.getPropertyValue("--focus");
    c.strokeRect(x - 9, y - 9, 18, 18);
  }

  drawLegend(colours) {
    for (const canvas of this.root.querySelectorAll(".marker")) {
      const number = Number(canvas.dataset.number);
      const c = canvas.getContext("2d");
      c.clearRect(0, 0, 32, 32);
      c.beginPath();
      SHAPES[number % SHAPES.length](c, 16, 16, 9);
      c.fillStyle = colours[number % N_COLOURS];
      c.fill();
    }
  }

  events() {
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.hide());
    this.canvas.addEventListener("blur", () => this.hide());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const near = this.nearest((dx, dy) => dx * dx + dy * dy, x, y);
    if (near.i >= 0 && near.far <= 256) this.show(near.i);
    else this.hide();
  }

  nearest(distance, x, y) {
    const best = { i: -1, far: Infinity };
    for (let i = 0; i < this.run.mapped.length; i += 1) {
      if (!this.visible(i)) continue;
      const [px, py] = this.spot(i);
      const far = distance(px - x, py - y);
      if (far < best.far) Object.assign(best, { i, far });
    }
    return best;
  }

  key(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Escape") this.hide();
    if (!(event.key in ways)) return;
    event.preventDefault();
    const near = this.at < 0
      ? this.nearest((dx, dy) => dx * dx + dy * dy, this.width / 2, this.height / 2)
      : this.beside(...ways[event.key]);
    if (near.i >= 0) this.show(near.i, true);
  }

  // The nearest mark ahead: what lies aside counts double.
  beside(wayX, wayY) {
    const [x, y] = this.spot(this.at);
    return this.nearest((dx, dy) => {
      const ahead = dx * wayX + dy * wayY;
      const aside = Math.abs(dx * wayY) + Math.abs(dy * wayX);
      return ahead > 0.5 ? ahead + 2 * aside : Infinity;
    }, x, y);
  }

  show(i, aloud = false) {
    if (i === this.at) return;
    this.at = i;
    const place = this.run.mapped[i];
    const label = this.set.classes[this.set.label[place]];
    const split = this.set.splits[this.set.split[place]];
    const given = element("span", "", "what");
    given.append(named(label), `, ${split}`);
    const parts = [thumb(this.run.set, place), given];
    const at = this.called.get(place);
    let said = `${label}, ${split}`;
    if (at !== undefined) {
      const name = this.run.classes[this.run.called[at]];
      parts.push(line("called", name, this.run.p[at]));
      said += `, called ${name}`;
    }
    parts.push(named(this.set.paths[place], "path"));
    this.card.replaceChildren(...parts);
    this.card.hidden = false;
    this.place(i);
    if (aloud) document.getElementById("said").textContent = `${said}, ${this.set.paths[place]}`;
    this.draw();
  }

  place(i) {
    const [x, y] = this.spot(i);
    const { offsetWidth: width, offsetHeight: height } = this.card;
    const left = x + width + 16 > this.width ? x - width - 14 : x + 14;
    this.card.style.left = `${Math.max(0, Math.min(left, this.width - width))}px`;
    this.card.style.top = `${Math.max(0, Math.min(y - height / 2, this.height - height))}px`;
  }

  hide() {
    if (this.at < 0) return;
    this.at = -1;
    this.card.hidden = true;
    this.draw();
  }
}

for (const root of document.querySelectorAll(".map")) new FeatureMap(root);
