const PHASES = [
  ["head", "Head", "the request's head comes in"],
  ["queue", "Queue", "it waits for a free server"],
  ["connect", "Connect", "a connection is made"],
  ["first_byte", "First byte", "the server works on it"],
  ["body", "Body", "the answer is passed on"],
  ["total", "Total", "all of it"],
];
const TOKEN = "corelane-token";
const THEME = "corelane-theme";
// A tab that nobody sees for so long takes no place from those who watch.
const HIDDEN_MAX = 120000;
// Longer without figures, and the connection counts as lost.
const SILENCE_MAX = 6000;
// For an answer. A reload waits for its shards, and the proxy gives a request a minute.
const ANSWER_MAX = 10000;
const RELOAD_MAX = 70000;

// Storage may be forbidden; then nothing is remembered.
function recall(store, key) {
  try { return window[store].getItem(key) || ""; } catch { return ""; }
}
function remember(store, key, value) {
  try {
    if (value) window[store].setItem(key, value);
    else window[store].removeItem(key);
  } catch { /* See above. */ }
}

let token = recall("sessionStorage", TOKEN);
let changes = "anyone";
let generation = null;
let lastAt = null;
let retry = 0;
let wake = null;
// The request for figures that is under way.
let current = null;
let paused = false;
let rouse = null;
// The change that is carried out once there is a token; given up with the question.
let afterwards = null;

const sparks = {
  rps: new Spark($("rps-line")),
  p99: new Spark($("p99-line")),
  failed: new Spark($("failed-line")),
  connections: new Spark($("connections-line")),
};
sparks.p99.format = time;
const heat = new Heat($("heat"), $("heat-tip"), $("heat-said"), $("heat-legend"));
const servers = new Servers(setState);

function fields() {
  return token ? { Authorization: "Bearer " + token } : {};
}

// One that was refused is of no use, unless there is another by now.
function forget(refused) {
  if (token !== refused) return;
  token = "";
  remember("sessionStorage", TOKEN, "");
}

async function ask(method, path, { body = null, patience = ANSWER_MAX, signal = null } = {}) {
  const sent = token;
  const limit = AbortSignal.timeout(patience);
  const request = { method, headers: fields(), cache: "no-store", credentials: "omit" };
  request.signal = signal ? AbortSignal.any([signal, limit]) : limit;
  if (body) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = "application/json";
  }
  const response = await fetch(path, request);
  const value = await response.json();
  if (response.status === 401 && sent) {
    forget(sent);
    // Looking may need none.
    if (method === "GET") return ask(method, path, { patience, signal });
  }
  return { status: response.status, ok: response.ok, value };
}

// --- The connection -----------------------------------------------------------------------------

function link(state, text) {
  mark($("link"), "data-state", state);
  say($("link-text"), text);
}

function banner(text) {
  $("banner").hidden = !text;
  say($("banner"), text || "");
  document.body.classList.toggle("stale", Boolean(text));
}

async function watch() {
  const control = new AbortController();
  current = control;
  const sent = token;
  let timer = null;
  const silence = () => {
    clearTimeout(timer);
    timer = setTimeout(() => control.abort(), SILENCE_MAX);
  };
  try {
    silence();
    const response = await fetch("/v1/live", { headers: fields(), cache: "no-store", credentials: "omit", signal: control.signal });
    if (response.status === 401) {
      forget(sent);
      return sent ? "without" : "token";
    }
    if (!response.ok) return (await response.json()).error || "status " + response.status;
    await introduce(control.signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "";
      text += value;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        if (!event.startsWith("data: ")) continue;
        silence();
        retry = 0;
        show(JSON.parse(event.slice(6)));
      }
    }
  } catch {
    return "";
  } finally {
    clearTimeout(timer);
    control.abort();
  }
}

async function keepWatching() {
  let refused = false;
  for (;;) {
    if (paused) {
      link("wait", "Paused");
      await new Promise((resolve) => { rouse = resolve; });
      link("wait", "Connecting…");
    }
    const why = await watch();
    if (paused) continue;
    if (why === "without") {
      // The token was not the right one, and it may be that looking needs none.
      refused = true;
      continue;
    }
    if (why === "token") {
      link("lost", "Needs the token");
      banner("This address shows nothing without its token.");
      afterwards = null;
      askForToken(refused ? "That was not the token of this address." : "This address needs a token to show anything.");
      await new Promise((resolve) => { wake = resolve; });
      wake = null;
      refused = false;
      link("wait", "Connecting…");
      continue;
    }
    refused = false;
    link("lost", "Connection lost");
    const since = lastAt ? " The figures are those of " + clock(lastAt) + "." : "";
    banner((why ? "The proxy says: " + why + "." : "There is no connection to the proxy. Trying again…") + since);
    retry += 1;
    await new Promise((resolve) => setTimeout(resolve, Math.min(5000, 250 * 2 ** Math.min(retry, 6))));
  }
}

async function introduce(signal) {
  const { ok, value } = await ask("GET", "/v1", { signal });
  if (!ok) return;
  changes = value.changes;
  servers.allow(changes !== "nobody");
  $("reload").disabled = changes === "nobody";
  $("token-open").hidden = changes !== "token";
  $("changes").hidden = changes !== "nobody";
  say($("changes"), "Nothing can be changed here: this address has no token. Add token_file to [admin], or use its Unix socket.");
}

// --- What it shows ------------------------------------------------------------------------------

// Seconds without figures between those of two moments. 0 as well: before the first, and where the
// clock was set back. null: the later are the same figures once more, as after a reconnection.
function missing(before, at) {
  if (before === at) return null;
  return before ? Math.max(0, Math.round((at - before) / 1000) - 1) : 0;
}

function show(live) {
  const gap = missing(lastAt, live.at);
  lastAt = live.at;
  banner("");
  link("live", live.state === "draining" ? "Live, draining" : "Live");
  say($("about"), live.version + " · process " + live.process);
  say($("at"), "Last look at " + clock(live.at) + ".");
  const { phases } = live;
  const by = live.status_per_s;
  const sum = (name) => live.shards.reduce((sum, shard) => sum + shard[name], 0);
  if (gap !== null) {
    for (const spark of Object.values(sparks)) spark.skip(gap);
    heat.skip(gap, live.at);
    sparks.rps.add(live.requests_per_s, count(live.requests_per_s));
    sparks.p99.add(phases.total.p99, time(phases.total.p99));
    sparks.failed.add(by["5xx"], count(by["5xx"]));
    sparks.connections.add(sum("connections"), count(sum("connections")));
    heat.add(live.heat, phases.total, live.at);
  }
  say($("rps"), count(live.requests_per_s));
  document.title = count(live.requests_per_s) + "/s · Corelane";
  const any = phases.total.count > 0;
  say($("p99"), any ? time(phases.total.p99) : "–");
  say($("p50"), any ? time(phases.total.p50) : "–");
  say($("classes"), ["2xx", "3xx", "4xx"].map((name) => name + " " + count(by[name])).join(" · "));
  say($("failed"), count(by["5xx"]));
  say($("refused"), count(live.own_errors_per_s));
  say($("aborted"), count(live.client_left_per_s) + " a second");
  say($("connections"), count(sum("connections")));
  say($("active"), count(sum("active")));
  $("bytes").hidden = live.bytes_out_per_s === null;
  say($("bytes"), "; " + bytes(live.bytes_in_per_s) + " in, " + bytes(live.bytes_out_per_s) + " out a second");
  showPhases(phases);
  servers.take(live.servers, live.process);
  showShards(live.shards);
  showErrors(live.errors);
  showConfig(live.config);
}

const phaseRows = PHASES.map(([key, label, about]) => {
  const cells = ["p50", "p90", "p99", "p999", "max"].map((name) => [name, make("td", {})]);
  const [thin, thick, median] = ["thin", "thick", "median"].map((name) => make("i", { className: name }));
  const track = make("div", { className: "track", ariaHidden: "true" }, thin, thick, median);
  const head = make("th", { scope: "row" }, label, make("small", {}, about));
  $("phases").append(make("tr", {}, head, ...cells.map(([, cell]) => cell), make("td", { className: "range" }, track)));
  return { key, cells, thin, thick, median };
});

function showPhases(phases) {
  const longest = Math.max(1000, ...Object.values(phases).map((phase) => phase.p999));
  const decades = Math.ceil(Math.log10(longest) - 1);
  const place = (us) => 100 * Math.max(0, Math.min(1, (Math.log10(Math.max(us, 10)) - 1) / decades));
  if (Number($("ruler").dataset.decades) !== decades) {
    $("ruler").dataset.decades = decades;
    $("ruler").replaceChildren();
    for (let at = 0; at <= decades; at += 1) {
      const tick = make("span", {}, time(10 ** (at + 1)));
      tick.style.left = (100 * at / decades) + "%";
      $("ruler").append(tick);
    }
  }
  for (const { key, cells, thin, thick, median } of phaseRows) {
    const phase = phases[key];
    const any = phase.count > 0;
    for (const [name, cell] of cells) say(cell, any ? time(phase[name]) : "–");
    const hidden = !any || phase.p999 === 0;
    for (const part of [thin, thick, median]) part.hidden = hidden;
    if (hidden) continue;
    const span = (node, from, to) => {
      node.style.left = place(from) + "%";
      node.style.width = (place(to) - place(from)) + "%";
    };
    span(thick, phase.p50, phase.p99);
    span(thin, phase.p50, phase.p999);
    median.style.left = place(phase.p50) + "%";
  }
}

const shardRows = [];

function showShards(shards) {
  const most = Math.max(1, ...shards.map((shard) => shard.requests_per_s));
  while (shardRows.length < shards.length) {
    const [name, figures] = [make("span", {}), make("span", { className: "muted" })];
    const bar = make("i", {});
    const track = make("div", { className: "track", ariaHidden: "true" }, bar);
    $("shards").append(make("li", {}, make("div", { className: "row" }, name, figures), track));
    shardRows.push({ name, figures, bar });
  }
  shards.forEach((shard, at) => {
    const { name, figures, bar } = shardRows[at];
    say(name, "Shard " + shard.shard + " · CPU " + shard.cpu);
    const clients = count(shard.connections) + (shard.connections === 1 ? " client" : " clients");
    say(figures, count(shard.requests_per_s) + "/s · " + clients + " · " + count(shard.active) + " active · " + count(shard.idle) + " idle");
    bar.style.width = (100 * shard.requests_per_s / most).toFixed(1) + "%";
  });
}

let errorsShown = null;

function showErrors(errors) {
  const key = JSON.stringify(errors);
  if (key === errorsShown) return;
  errorsShown = key;
  const lines = errors.map(({ at, level, text }) => make("li", {},
    make("time", { dateTime: new Date(at).toISOString() }, clock(at)),
    make("span", { className: "level", "data-level": level }, level === "error" ? "✕ error" : "▲ warning"),
    make("span", {}, text)));
  $("errors").replaceChildren(...(lines.length ? lines : [make("li", { className: "muted" }, "Nothing since the start.")]));
}

function showConfig(config) {
  const file = config.file || "no file";
  const times = config.generation === 1 ? "as at the start" : "the " + config.generation + ". since the start";
  say($("config-about"), file + ", " + times);
  const last = config.last_reload;
  mark($("reload-said"), "data-ok", last ? String(last.ok) : "");
  say($("reload-said"), !last ? "Not reloaded since the start."
    : last.ok ? "✓ Reloaded at " + clock(last.at) : "✕ Refused at " + clock(last.at) + "; the configuration before it stays in force");
  $("reload-text").hidden = !last || !last.text;
  say($("reload-text"), last ? last.text : "");
  if (config.generation !== generation) {
    generation = config.generation;
    if ($("config").open) showFiles();
  }
}

async function showFiles() {
  try {
    const { ok, value } = await ask("GET", "/v1/config");
    if (!ok) throw new Error(value.error);
    $("files").replaceChildren(...value.files.flatMap(({ name, text }) => [
      make("h3", {}, name),
      make("pre", { className: "text", tabIndex: 0 }, text),
    ]));
  } catch (error) {
    $("files").replaceChildren(make("p", { className: "note" }, "It cannot be shown: " + error.message));
  }
}

// --- What it changes ----------------------------------------------------------------------------

const NEEDED = "Changes need the token of this address.";

async function change(method, path, options, done) {
  const sent = token;
  const again = (why) => {
    afterwards = () => change(method, path, options, done);
    askForToken(why);
  };
  if (changes === "token" && !sent) return again(NEEDED);
  try {
    const answer = await ask(method, path, options);
    if (answer.status === 401) again(sent ? "That was not the token of this address." : NEEDED);
    else tell(done(answer));
  } catch {
    tell("The proxy did not answer; whether anything has changed is not known.");
  }
}

// For a moment, and to screen readers.
let telling = null;
function tell(text) {
  const node = $("done");
  node.className = "note";
  say(node, text);
  clearTimeout(telling);
  telling = setTimeout(() => { node.className = "hidden"; say(node, ""); }, 8000);
}

function setState(server, state) {
  const body = { upstream: server.upstream, server: server.address, state };
  change("PATCH", "/v1/servers", { body }, ({ ok, value }) => {
    if (!ok) return "Not done: " + value.error;
    Object.assign(server, { state: value.state, status: value.status });
    const row = servers.rows.get(server.id);
    if (row) servers.write(row);
    const words = { up: "takes requests again", drain: "gets no new requests", down: "is left alone" };
    return server.upstream + " " + server.address + " " + words[state] + ".";
  });
}

$("reload").addEventListener("click", () => {
  change("POST", "/v1/reload", { patience: RELOAD_MAX }, ({ status, value }) => {
    if (status === 200) return "Reloaded: all shards serve by it.";
    return status === 422 ? "The reload was refused; see Configuration." : "Not reloaded: " + value.error;
  });
});

// --- Token, colours, keys -----------------------------------------------------------------------

function askForToken(why) {
  say($("token-why"), why + " It is kept for as long as this tab is open.");
  $("token-input").value = "";
  if (!$("token").open) $("token").showModal();
}

$("token-open").addEventListener("click", () => { afterwards = null; askForToken(NEEDED); });
$("token-cancel").addEventListener("click", () => $("token").close());
// However it was closed, with Escape too. The event comes a moment later than that, when the
// question may have been put again.
$("token").addEventListener("close", () => { if (!$("token").open) afterwards = null; });
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token-input").value.trim();
  remember("sessionStorage", TOKEN, token);
  $("token").close();
  const next = afterwards;
  afterwards = null;
  if (wake) wake();
  if (next) next();
});
$("banner").addEventListener("click", () => { if (wake) askForToken("This address needs a token to show anything."); });

function paint(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  $("theme").value = theme;
  heat.draw();
}
$("theme").addEventListener("change", (event) => {
  remember("localStorage", THEME, event.target.value);
  paint(event.target.value);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => heat.draw());
$("config").addEventListener("toggle", () => { if ($("config").open) showFiles(); });
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !$("token").open) {
    event.preventDefault();
    $("filter").focus();
  }
  if (event.key === "Escape" && event.target === $("filter")) {
    $("filter").value = "";
    servers.arrange(true);
  }
});

let hiding = null;
function pauseUnseen() {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      paused = true;
      if (current) current.abort();
    }, HIDDEN_MAX);
  } else if (paused) {
    paused = false;
    if (rouse) rouse();
  }
}
document.addEventListener("visibilitychange", pauseUnseen);

paint(recall("localStorage", THEME));
// It may have been opened behind another tab.
pauseUnseen();
keepWatching();
