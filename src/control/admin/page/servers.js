// The marks differ in shape, so that colour is not what tells them apart.
const MARKS = { up: "●", drain: "◐", down: "■", ejected: "▲", failing: "✕" };
const MEANINGS = {
  up: "takes requests",
  drain: "no new requests, by hand",
  down: "left alone, by hand",
  ejected: "requests failed",
  failing: "its checks fail",
};
const COLUMNS = [
  { key: "status", label: "State", class: "status" },
  { key: "address", label: "Server", class: "name" },
  { key: "requests_per_s", label: "Requests/s", class: "n", down: true },
  { key: "share", label: "Share", class: "n", down: true },
  { key: "active", label: "Active", class: "n", down: true },
  { key: "failures", label: "Failures", class: "n", down: true },
  { key: "p99_us", label: "p99", class: "n", down: true },
  { key: "weight", label: "Weight", class: "n", down: true },
];

// The table of servers. A row is made once and then only what has changed is written, and only
// where it can be seen.
class Servers {
  constructor(change) {
    Object.assign(this, { change, rows: new Map(), all: [], sort: null, down: false, allowed: true, process: null });
    this.body = $("servers");
    this.heads = new Map();
    this.watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const row = this.rows.get(Number(entry.target.dataset.id));
        if (!row) continue;
        row.seen = entry.isIntersecting;
        if (row.seen) this.write(row);
      }
    }, { rootMargin: "200px" });
    for (const column of COLUMNS) {
      const button = make("button", { type: "button" }, column.label);
      const head = make("th", { scope: "col", className: column.class === "n" ? "n" : "" }, button);
      button.addEventListener("click", () => this.sortBy(column.key));
      this.heads.set(column.key, head);
      $("columns").append(head);
      $("sort").append(make("option", { value: column.key }, "By " + column.label.toLowerCase()));
    }
    $("columns").append(make("th", { scope: "col" }, make("span", { className: "plain" }, "Set to")));
    $("sort").prepend(make("option", { value: "", selected: true }, "As configured"));
    $("sort").addEventListener("change", (event) => this.sortBy(event.target.value, true));
    $("filter").addEventListener("input", () => this.arrange(true));
    $("which").addEventListener("change", () => this.arrange(true));
    this.empty = make("tr", { className: "empty" }, make("td", { colSpan: COLUMNS.length + 1 }, ""));
  }

  sortBy(key, fresh) {
    const column = COLUMNS.find((column) => column.key === key);
    if (!column) this.sort = null;
    else if (this.sort !== key || fresh) [this.sort, this.down] = [key, Boolean(column.down)];
    else if (this.down === Boolean(column.down)) this.down = !this.down;
    else this.sort = null;
    $("sort").value = this.sort || "";
    for (const [name, head] of this.heads) {
      const label = COLUMNS.find((column) => column.key === name).label;
      const sorted = name === this.sort;
      say(head.firstChild, sorted ? label + (this.down ? " ↓" : " ↑") : label);
      if (sorted) head.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    this.arrange(true);
  }

  take(all, process) {
    this.all = all;
    // Another process gives its servers numbers of its own.
    if (this.process !== process) for (const id of this.rows.keys()) this.drop(id);
    this.process = process;
    const here = new Set();
    for (const server of all) {
      here.add(server.id);
      let row = this.rows.get(server.id);
      if (!row) {
        row = this.makeRow(server);
        this.rows.set(server.id, row);
      }
      row.server = server;
      if (row.seen) this.write(row);
    }
    for (const id of this.rows.keys()) if (!here.has(id)) this.drop(id);
    this.arrange(false);
    const up = all.filter((server) => server.status === "up").length;
    say($("servers-count"), all.length === 0 ? "none" : up === all.length ? all.length + ", all up" : up + " of " + all.length + " up");
  }

  drop(id) {
    const { node } = this.rows.get(id);
    this.watch.unobserve(node);
    node.remove();
    this.rows.delete(id);
  }

  makeRow(server) {
    const cells = {};
    const node = make("tr", {});
    node.dataset.id = server.id;
    for (const column of COLUMNS) {
      const cell = make("td", { className: column.class });
      if (column.class === "n") cell.dataset.label = column.label;
      cells[column.key] = cell;
      node.append(cell);
    }
    const icon = make("span", { ariaHidden: "true" }), word = make("span", {});
    const state = make("span", { className: "state" }, icon, word);
    cells.status.append(state);
    const name = make("span", {}), upstream = make("small", {});
    cells.address.append(name, upstream);
    const bar = make("i", {}), part = make("span", {});
    cells.share.append(make("div", { className: "share" }, make("div", { className: "track" }, bar), part));
    const buttons = {};
    const group = make("div", { className: "switch", role: "group" });
    for (const [state, label] of [["up", "Up"], ["drain", "Drain"], ["down", "Down"]]) {
      const button = make("button", { type: "button" }, label);
      button.addEventListener("click", () => {
        if (button.getAttribute("aria-pressed") !== "true") this.change(row.server, state);
      });
      buttons[state] = button;
      group.append(button);
    }
    node.append(make("td", { className: "act" }, group));
    const row = { node, cells, state, icon, word, name, upstream, bar, part, group, buttons, server, seen: false };
    this.watch.observe(node);
    this.write(row);
    return row;
  }

  write({ cells, state, icon, word, name, upstream, bar, part, group, buttons, server }) {
    mark(state, "data-state", server.status);
    mark(state, "title", MEANINGS[server.status] || "");
    say(icon, MARKS[server.status] || "?");
    say(word, server.status);
    say(name, server.server === server.address ? server.address : server.server);
    const under = server.server === server.address ? "" : " · " + server.address;
    say(upstream, server.upstream + under + (server.backup ? " · backup" : ""));
    say(cells.requests_per_s, count(server.requests_per_s));
    const share = server.share === null ? "–" : (server.share * 100).toFixed(server.share < 0.1 ? 1 : 0) + " %";
    say(part, share);
    const width = ((server.share || 0) * 100).toFixed(1) + "%";
    if (bar.style.width !== width) bar.style.width = width;
    say(cells.active, count(server.active));
    say(cells.failures, count(server.failures));
    cells.failures.classList.toggle("some", server.failures > 0);
    say(cells.p99_us, time(server.p99_us));
    say(cells.weight, String(server.weight));
    mark(group, "aria-label", "State of " + server.upstream + " " + server.address);
    for (const [state, button] of Object.entries(buttons)) {
      mark(button, "aria-pressed", String(server.state === state));
      if (button.disabled === this.allowed) button.disabled = !this.allowed;
    }
  }

  allow(allowed) {
    this.allowed = allowed;
    for (const row of this.rows.values()) this.write(row);
  }

  // Which are shown, and in which order. What somebody points at or has gone to with the keyboard
  // does not run away, unless that was asked for.
  arrange(asked) {
    const held = this.body.matches(":hover") || this.body.contains(document.activeElement);
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const which = $("which").value;
    const shown = this.all.filter((server) => {
      const text = (server.upstream + " " + server.server + " " + server.address + " " + server.status).toLowerCase();
      if (which === "out" && server.status === "up") return false;
      if (which === "failing" && server.failures === 0) return false;
      return words.every((word) => text.includes(word));
    });
    if (this.sort) {
      const value = (server) => this.sort === "address" ? server.server : server[this.sort];
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
        return this.down ? -order : order;
      };
      shown.sort(order);
    }
    const nodes = shown.map((server) => this.rows.get(server.id).node);
    const present = Array.from(this.body.children).filter((node) => node !== this.empty);
    const same = nodes.length === present.length && nodes.every((node, at) => node === present[at]);
    const sameRows = nodes.length === present.length && new Set([...nodes, ...present]).size === nodes.length;
    if (!same && (asked || !held || !sameRows)) {
      const active = document.activeElement;
      this.body.replaceChildren(...nodes);
      if (active && this.body.contains(active)) active.focus({ preventScroll: true });
    }
    if (nodes.length === 0) {
      say(this.empty.firstChild, this.all.length === 0 ? "There are no servers." : "No server fits the filter.");
      if (!this.empty.isConnected) this.body.replaceChildren(this.empty);
    } else {
      this.empty.remove();
    }
  }
}
