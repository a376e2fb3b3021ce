// Zoom and pan of the timeline: lanes are drawn in per cent, so a wider inner picture is a closer look.
const SVG = "http://www.w3.org/2000/svg";
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const POINTS = 1500, COLUMNS = 240, ROWS = 16;

function svg(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.append(Object.assign(document.createElementNS(SVG, "title"), { textContent: text }));
  return element;
}

function clock(t, step = 1) {
  const digits = step >= 1 ? 0 : Math.min(3, Math.ceil(-Math.log10(step) + 0.001));
  const seconds = (t % 60).toFixed(digits);
  return `${String(Math.floor(t / 60)).padStart(2, "0")}:${seconds.padStart(digits ? digits + 3 : 2, "0")}`;
}

class Timeline {
  constructor(figure) {
    this.figure = figure;
    this.view = figure.querySelector(".view");
    this.plot = figure.querySelector(".plot");
    this.at = figure.querySelector(".at");
    this.seconds = Number(figure.dataset.seconds);
    this.from = 0;
    this.zoom = 1;
    this.listen();
    this.draw();
  }

  width() { return this.view.clientWidth || 1; }
  time(x) { return (this.from + x / this.width() / this.zoom) * this.seconds; }

  look(zoom, from) {
    this.zoom = Math.min(Math.max(zoom, 1), 4000);
    this.from = Math.min(Math.max(from, 0), 1 - 1 / this.zoom);
    this.plot.setAttribute("width", `${this.zoom * 100}%`);
    this.plot.setAttribute("x", `${-this.from * this.zoom * 100}%`);
    this.draw();
  }

  closer(factor, x = this.width() / 2) {
    const share = x / this.width();
    const kept = this.from + share / this.zoom;
    const zoom = Math.min(Math.max(this.zoom * factor, 1), 4000);
    this.look(zoom, kept - share / zoom);
  }

  draw() {
    this.drawTicks();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.drawRequests(), this.zoom === 1 && !this.redrawn ? 1e9 : 60);
  }

  drawTicks() {
    const shown = this.seconds / this.zoom;
    const step = STEPS.find((s) => shown / s <= Math.max(3, this.width() / 110)) ?? STEPS.at(-1);
    const height = this.view.getAttribute("height");
    const first = Math.max(1, Math.ceil(this.from * this.seconds / step));
    const marks = [];
    for (let n = first; n * step < Math.min((this.from * this.seconds) + shown, this.seconds * 0.985); n += 1) {
      const x = `${n * step / this.seconds * 100}%`;
      const text = svg("text", { x, y: 13 });
      text.textContent = clock(n * step, step);
      marks.push(svg("line", { x1: x, x2: x, y1: 18, y2: height }), text);
    }
    this.plot.querySelector(".ticks").replaceChildren(...marks);
  }

  async drawRequests() {
    const lane = this.plot.querySelector(".lane-traffic");
    if (!lane) return;
    this.redrawn = true;
    const { tables, columns } = (await unpack(this.figure.closest("article"))).requests;
    const top = Number(lane.dataset.y);
    const [begin, end] = [this.from * this.seconds, (this.from + 1 / this.zoom) * this.seconds];
    const positive = columns.took.filter((t) => t > 0);
    const low = positive.reduce((a, b) => Math.min(a, b), Infinity);
    const high = Math.max(positive.reduce((a, b) => Math.max(a, b), 0), low * 1.5);
    const shown = [];
    for (let i = 0; i < columns.took.length; i += 1) {
      const t = columns.started[i] + columns.took[i];
      if (t >= begin && t <= end) shown.push([i, t, 1 - Math.log(Math.max(columns.took[i], low) / low) / Math.log(high / low)]);
    }
    const name = (i) => tables.outcome[columns.outcome[i]];
    const about = (i) => [columns.id[i], `${name(i)}, HTTP ${columns.status[i] || "-"}, ${(columns.took[i] * 1000).toFixed(1)} ms`,
      tables.served_by[columns.served_by[i]] && `served by ${tables.served_by[columns.served_by[i]]}`, tables.error[columns.error[i]]].filter(Boolean).join("\n");
    const drawn = shown.length <= POINTS ? shown.map(([i, t, y]) => this.point(t, top + 8 + y * 80, name(i), about(i))) : this.cells(shown, begin, end, top, name);
    lane.replaceChildren(...drawn);
  }

  point(t, y, outcome, about) {
    const x = `${t / this.seconds * 100}%`;
    if (outcome === "ok") return svg("circle", { class: "dot is-ok", cx: x, cy: y, r: 2.2 }, about);
    const cross = svg("svg", { class: `dot is-${outcome}`, x, y, overflow: "visible" }, about);
    cross.append(svg("use", { href: "#cross", x: -5, y: -5, width: 10, height: 10 }));
    return cross;
  }

  cells(shown, begin, end, top, name) {
    const counts = new Map();
    for (const [i, t, y] of shown) {
      const key = `${name(i)} ${Math.min(Math.floor((t - begin) / (end - begin) * COLUMNS), COLUMNS - 1)} ${Math.min(Math.floor(y * ROWS), ROWS - 1)}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const most = Math.max(...counts.values());
    // What did not succeed is drawn last and never faint.
    const ordered = [...counts].sort(([a], [b]) => b.startsWith("ok ") - a.startsWith("ok "));
    return ordered.map(([key, count]) => {
      const [outcome, column, row] = key.split(" ");
      const x = (begin + (end - begin) * column / COLUMNS) / this.seconds * 100;
      return svg("rect", { class: `cell is-${outcome}`, x: `${x}%`, width: `${(end - begin) / COLUMNS / this.seconds * 100}%`, y: top + 8 + row * 80 / ROWS, height: 80 / ROWS,
        opacity: outcome === "ok" ? 0.15 + 0.85 * Math.log1p(count) / Math.log1p(most) : 1 }, `${count} ${outcome}`);
    });
  }

  listen() {
    const x = (event) => event.clientX - this.view.getBoundingClientRect().left;
    this.view.addEventListener("wheel", (event) => {
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        this.look(this.zoom, this.from + (event.deltaX || event.deltaY) / this.width() / this.zoom);
      } else if (event.ctrlKey || event.metaKey || this.figure.contains(document.activeElement)) {
        event.preventDefault();
        this.closer(Math.exp(-event.deltaY / 300), x(event));
      }
    }, { passive: false });
    this.view.addEventListener("pointerdown", (event) => { this.held = [x(event), this.from]; this.moved = false; });
    this.view.addEventListener("pointermove", (event) => {
      this.point_at(x(event));
      if (!this.held || Math.abs(x(event) - this.held[0]) < 3) return;
      this.moved = true;
      this.view.classList.add("grabbed");
      this.view.setPointerCapture(event.pointerId);
      this.look(this.zoom, this.held[1] - (x(event) - this.held[0]) / this.width() / this.zoom);
    });
    for (const end of ["pointerup", "pointercancel"]) this.view.addEventListener(end, () => { this.held = null; this.view.classList.remove("grabbed"); });
    this.view.addEventListener("click", (event) => { if (this.moved) event.preventDefault(); }, true);
    this.view.addEventListener("dragstart", (event) => event.preventDefault());
    this.view.addEventListener("pointerleave", () => this.point_at(-9));
    this.view.addEventListener("dblclick", () => this.look(1, 0));
    this.figure.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => this.do(button.dataset.zoom)));
    this.figure.addEventListener("keydown", (event) => {
      const act = { "+": "in", "=": "in", "-": "out", 0: "all", ArrowLeft: "left", ArrowRight: "right" }[event.key];
      if (act && !event.ctrlKey) { event.preventDefault(); this.do(act); }
    });
    addEventListener("resize", () => this.draw());
  }

  do(act) {
    ({ in: () => this.closer(1.6), out: () => this.closer(1 / 1.6), all: () => this.look(1, 0),
      left: () => this.look(this.zoom, this.from - 0.2 / this.zoom), right: () => this.look(this.zoom, this.from + 0.2 / this.zoom) })[act]();
  }

  point_at(x) {
    const cursor = this.figure.querySelector(".cursor");
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    this.at.textContent = x >= 0 ? clock(this.time(x), 0.001) : "";
  }
}

document.querySelectorAll(".timeline").forEach((figure) => new Timeline(figure));

// The browser's own tooltips come late and vanish early; titles stay in the markup for those without JavaScript.
const tip = document.getElementById("tip");
document.addEventListener("pointerover", (event) => {
  const shape = event.target.closest?.(".view rect, .view circle, .view .dot");
  if (!shape) { tip.hidden = true; return; }
  const title = shape.querySelector(":scope > title");
  if (title) { shape.dataset.tip = title.textContent; title.remove(); }
  tip.textContent = shape.dataset.tip ?? "";
  tip.hidden = !tip.textContent;
});
document.addEventListener("pointermove", (event) => {
  if (tip.hidden) return;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : event.clientY + 18}px`;
});
