"use strict";

// How much is remembered: three minutes.
const HISTORY = 180;

const $ = (id) => document.getElementById(id);

function make(tag, fields, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(fields || {})) {
    if (name in node && name !== "role") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Writing what is there already would have the browser lay the page out again.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function count(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1e6) return (value / 1e6).toFixed(value >= 1e7 ? 1 : 2) + " M";
  if (value >= 1e5) return (value / 1e3).toFixed(0) + " k";
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value.toFixed(1);
}

function bytes(value) {
  if (value === null || value === undefined) return "–";
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000) return (value >= 100 || unit === "B" ? value.toFixed(0) : value.toFixed(1)) + " " + unit;
    value /= 1000;
  }
  return value.toFixed(1) + " TB";
}

function time(us) {
  if (us === null || us === undefined) return "–";
  if (us === 0) return "0";
  if (us < 1000) return us + " µs";
  const scaled = us < 1e6 ? us / 1000 : us / 1e6;
  const digits = scaled < 10 ? 2 : scaled < 100 ? 1 : 0;
  return String(Number(scaled.toFixed(digits))) + (us < 1e6 ? " ms" : " s");
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString("en-GB");
}

// Seconds that a chart shows: all three minutes once there are so many.
function span(length) {
  return [60, 120, HISTORY].find((span) => length <= span) || HISTORY;
}

// Keeps the last values, and draws them as a line.
class Spark {
  constructor(svg) {
    this.values = [];
    this.svg = svg;
    this.name = svg.getAttribute("aria-label");
    const path = (name) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", name);
      svg.append(path);
      return path;
    };
    this.area = path("area");
    this.line = path("line");
  }

  // Seconds of which nothing is known.
  skip(seconds) {
    if (seconds >= HISTORY) this.values = [];
    else this.values.push(...new Array(seconds).fill(null));
  }

  add(value, shown) {
    this.values.push(value);
    this.values.splice(0, this.values.length - HISTORY);
    const top = Math.max(1e-9, ...this.values.map((value) => value || 0));
    const last = span(this.values.length) - 1, from = last + 1 - this.values.length;
    mark(this.svg, "viewBox", "0 0 " + last + " 40");
    const point = (value, at) => (from + at) + "," + (38.5 - 36 * value / top).toFixed(2);
    const runs = this.runs();
    // A line to itself is a dot.
    const line = ({ points }) => "M" + (points.length > 1 ? points : [...points, ...points]).join("L");
    const area = ({ begin, end, points }) =>
      "M" + (from + begin) + ",40L" + points.join("L") + "L" + (from + end) + ",40Z";
    for (const run of runs) run.points = run.values.map((value, at) => point(value, run.begin + at));
    this.line.setAttribute("d", runs.map(line).join(""));
    this.area.setAttribute("d", runs.map(area).join(""));
    mark(this.svg, "aria-label", this.name + ": " + shown + "; most in three minutes: " + this.format(top));
  }

  // What is known without a gap in it.
  runs() {
    const runs = [];
    this.values.forEach((value, at) => {
      if (value === null) return;
      const run = runs[runs.length - 1];
      if (run && run.end === at - 1) {
        run.values.push(value);
        run.end = at;
      } else {
        runs.push({ begin: at, end: at, values: [value] });
      }
    });
    return runs;
  }

  format(value) {
    return count(value);
  }
}

// From few to many; light and dark.
const RAMPS = {
  light: [[226, 236, 247], [150, 195, 238], [62, 137, 214], [17, 84, 163], [8, 38, 92]],
  dark: [[24, 38, 58], [22, 84, 132], [26, 145, 160], [120, 205, 130], [250, 231, 110]],
};

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function tint(part) {
  const ramp = RAMPS[isDark() ? "dark" : "light"];
  const place = Math.min(0.9999, Math.max(0, part)) * (ramp.length - 1);
  const [low, high] = [ramp[Math.floor(place)], ramp[Math.floor(place) + 1]];
  const mix = low.map((value, at) => Math.round(value + (high[at] - value) * (place % 1)));
  return "rgb(" + mix.join(" ") + ")";
}

// Response times over time: a column a second, a row for each class of times.
class Heat {
  constructor(canvas, tip, said, legend) {
    Object.assign(this, { canvas, tip, said, legend, columns: [], bounds: [], cursor: null });
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("blur", () => this.leave());
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // Seconds before `at` of which nothing is known.
  skip(seconds, at) {
    if (seconds >= HISTORY) {
      this.columns = [];
      this.leave();
      return;
    }
    const counts = new Array(this.bounds.length + 1).fill(0);
    for (let ago = seconds; ago > 0; ago -= 1) {
      this.columns.push({ at: at - 1000 * ago, counts, any: false, unknown: true });
    }
  }

  add(heat, total, at) {
    this.bounds = heat.bounds_us;
    this.columns.push({ at, counts: heat.counts, p50: total.p50, p99: total.p99, any: total.count > 0 });
    const old = this.columns.length - HISTORY;
    if (old > 0) {
      this.columns.splice(0, old);
      if (this.cursor && this.cursor.held) this.cursor.column = Math.max(0, this.cursor.column - old);
    }
    if (this.cursor && this.cursor.held) this.show(this.cursor);
    this.draw();
    this.describe();
  }

  // The classes that occur, with one more on each side.
  rows() {
    let low = this.bounds.length, high = -1;
    for (const { counts } of this.columns) {
      counts.forEach((count, row) => {
        if (count > 0) [low, high] = [Math.min(low, row), Math.max(high, row)];
      });
    }
    if (low > high) return [4, 16];
    const lack = Math.max(1, Math.ceil((8 - (high - low)) / 2));
    return [Math.max(0, low - lack), Math.min(this.bounds.length, high + lack)];
  }

  measure() {
    const box = this.canvas.getBoundingClientRect();
    const [low, high] = this.rows();
    const left = 58, bottom = 22;
    const seconds = span(this.columns.length), from = seconds - this.columns.length;
    const width = (box.width - left) / seconds, height = (box.height - bottom) / (high - low + 1);
    return { box, low, high, left, bottom, width, height, seconds, from };
  }

  draw() {
    const { box, low, high, left, bottom, width, height, seconds, from } = this.measure();
    if (box.width === 0) return;
    const scale = window.devicePixelRatio || 1;
    const [wide, tall] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    if (this.canvas.width !== wide || this.canvas.height !== tall) {
      [this.canvas.width, this.canvas.height] = [wide, tall];
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    const dark = isDark();
    pen.fillStyle = dark ? "#0f1620" : "#f6f8fb";
    pen.fillRect(left, 0, box.width - left, box.height - bottom);
    const most = Math.max(1, ...this.columns.map(({ counts }) => Math.max(...counts)));
    this.columns.forEach(({ counts, unknown }, at) => {
      const x = left + (from + at) * width;
      if (unknown) pen.clearRect(x, 0, width + 0.4, box.height - bottom);
      for (let row = low; row <= high; row += 1) {
        if (counts[row] === 0) continue;
        pen.fillStyle = tint(0.08 + 0.92 * Math.log1p(counts[row]) / Math.log1p(most));
        pen.fillRect(x, (high - row) * height + 0.5, width + 0.4, height - 1);
      }
    });
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = dark ? "#9aa7b9" : "#566274";
    pen.strokeStyle = dark ? "rgb(255 255 255 / .09)" : "rgb(0 0 0 / .08)";
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.lineWidth = 1;
    this.bounds.forEach((bound, row) => {
      const power = Math.log10(bound);
      if (row < low - 1 || row > high || Math.abs(power - Math.round(power)) > 1e-9) return;
      const y = (high - row) * height;
      pen.beginPath();
      pen.moveTo(left, y);
      pen.lineTo(box.width, y);
      pen.stroke();
      if (y > 5 && y < box.height - bottom + 1) pen.fillText(time(bound), left - 8, y);
    });
    pen.textBaseline = "alphabetic";
    const parts = box.width > 600 ? 6 : 3;
    for (let part = 0; part <= parts; part += 1) {
      const ago = seconds * (1 - part / parts);
      pen.textAlign = part === parts ? "right" : part === 0 ? "left" : "center";
      pen.fillText(ago === 0 ? "now" : "−" + Number(ago.toFixed(1)) + " s", left + (seconds - ago) * width, box.height - 5);
    }
    if (!this.columns.some((column) => column.any)) {
      pen.textAlign = "center";
      pen.fillText("No requests yet.", left + (box.width - left) / 2, (box.height - bottom) / 2);
    }
    this.trace(pen, "p50", [], dark);
    this.trace(pen, "p99", [5, 4], dark);
    this.drawCursor(pen);
    this.drawLegend();
  }

  // Where a time stands among the rows.
  level(us, low, high, height) {
    const bounds = this.bounds;
    let row = bounds.findIndex((bound) => us <= bound);
    if (row < 0) row = bounds.length;
    const floor = row === 0 ? 1 : bounds[row - 1], roof = bounds[row] || us;
    const part = roof > floor ? Math.log(Math.max(us, floor) / floor) / Math.log(roof / floor) : 0.5;
    return Math.min(high - low + 1, Math.max(0, high - row + 1 - part)) * height;
  }

  trace(pen, name, dash, dark) {
    const { low, high, left, width, height, from } = this.measure();
    const path = new Path2D();
    let open = false;
    this.columns.forEach((column, at) => {
      if (!column.any) {
        open = false;
        return;
      }
      const x = left + (from + at + 0.5) * width, y = this.level(column[name], low, high, height);
      open ? path.lineTo(x, y) : path.moveTo(x, y);
      open = true;
    });
    pen.setLineDash(dash);
    pen.lineJoin = "round";
    pen.lineWidth = 4;
    pen.strokeStyle = dark ? "rgb(12 17 24 / .8)" : "rgb(255 255 255 / .85)";
    pen.stroke(path);
    pen.lineWidth = 1.75;
    pen.strokeStyle = dark ? "#ffffff" : "#111a26";
    pen.stroke(path);
    pen.setLineDash([]);
  }

  drawCursor(pen) {
    if (!this.cursor) return;
    const { low, high, left, width, height, from } = this.measure();
    const { column, row } = this.cursor;
    if (row < low || row > high) return;
    pen.lineWidth = 2;
    pen.strokeStyle = isDark() ? "#fff" : "#000";
    const x = left + (from + column) * width;
    pen.strokeRect(x - 1, (high - row) * height, width + 2, height);
  }

  drawLegend() {
    const pen = this.legend.getContext("2d");
    for (let x = 0; x < 96; x += 1) {
      pen.fillStyle = tint(0.08 + 0.92 * x / 95);
      pen.fillRect(x, 0, 1, 8);
    }
  }

  describe() {
    const column = this.columns[this.columns.length - 1];
    const sum = column.counts.reduce((sum, count) => sum + count, 0);
    const row = column.counts.indexOf(Math.max(...column.counts));
    const text = sum === 0 ? "no requests in the last second"
      : "in the last second " + count(sum) + " requests, most of them " + this.range(row);
    mark(this.canvas, "aria-label", "Heat map of response times over three minutes: " + text);
  }

  range(row) {
    if (row === 0) return "within " + time(this.bounds[0]);
    if (row >= this.bounds.length) return "longer than " + time(this.bounds[row - 1]);
    return time(this.bounds[row - 1]) + " to " + time(this.bounds[row]);
  }

  point(event) {
    const { box, high, left, width, height, from } = this.measure();
    const column = Math.floor((event.clientX - box.left - left) / width) - from;
    const row = high - Math.floor((event.clientY - box.top) / height);
    if (column < 0 || column >= this.columns.length || row < 0 || row > this.bounds.length) {
      this.leave();
      return;
    }
    this.cursor = { column, row, held: false };
    this.show(this.cursor);
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[event.key];
    if (event.key === "Escape") this.leave();
    if (!step || this.columns.length === 0) return;
    event.preventDefault();
    const last = this.columns.length - 1;
    if (!this.cursor) {
      const { counts } = this.columns[last];
      this.cursor = { column: last, row: counts.indexOf(Math.max(...counts)), held: true };
    } else {
      const [low, high] = this.rows();
      this.cursor.held = true;
      this.cursor.column = Math.min(last, Math.max(0, this.cursor.column + step[0]));
      this.cursor.row = Math.min(high, Math.max(low, this.cursor.row + step[1]));
    }
    this.show(this.cursor);
    say(this.said, this.tip.textContent);
  }

  show(cursor) {
    const { box, high, left, width, height, from } = this.measure();
    const column = this.columns[cursor.column];
    if (!column) return;
    const what = column.unknown ? "not known" : count(column.counts[cursor.row]) + " requests of " + this.range(cursor.row);
    say(this.tip, clock(column.at) + ": " + what);
    this.tip.hidden = false;
    const x = left + (from + cursor.column) * width;
    const y = (high - cursor.row) * height;
    const tip = this.tip.getBoundingClientRect();
    this.tip.style.left = Math.max(0, Math.min(box.width - tip.width, x - tip.width - 8 < left ? x + width + 8 : x - tip.width - 8)) + "px";
    this.tip.style.top = Math.max(0, Math.min(box.height - tip.height, y - tip.height / 2)) + "px";
    this.draw();
  }

  leave() {
    if (!this.cursor) return;
    this.cursor = null;
    this.tip.hidden = true;
    this.draw();
  }
}
