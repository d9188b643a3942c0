//! Latency: as numbers, as a percentile distribution, and as an interval log.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::api::{Answer, Refusal, ok, refusal, text};
use super::{Office, Overview};
use crate::control::clock::now;
use crate::control::metrics::{NONE, OTHER};
use crate::control::observe::Key;
use crate::plan::{Plan, ServerPlan, UpstreamPlan};
use crate::telemetry::{
    KEYS_MAX, Latency, LogInterval, PERCENTILES, Phase, Summary, hgrm, hlog_head, hlog_lines,
};

/// Names of windows and their lengths, besides `lifetime`.
const WINDOWS: [(&str, Duration); 3] = [
    ("10s", Duration::from_secs(10)),
    ("1m", Duration::from_secs(60)),
    ("5m", Duration::from_secs(300)),
];

/// What a query wants to know.
#[derive(Debug, Default)]
struct Wanted {
    route: Option<String>,
    upstream: Option<String>,
    server: Option<String>,
    /// Without one: since the start.
    window: Option<(&'static str, Duration)>,
    phase: Option<Phase>,
}

type Fields = Vec<(String, String)>;

fn bad(sentence: impl Into<String>) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, sentence)
}

fn missing(sentence: impl Into<String>) -> Refusal {
    refusal(StatusCode::NOT_FOUND, sentence)
}

/// Zeros would look like an idle one.
fn not_alone(which: &str, parameter: &str) -> Refusal {
    missing(format!(
        "only the first {KEYS_MAX} {which} of the configuration are measured one by one; \
         `{parameter}={OTHER}` is all others together"
    ))
}

fn key_of_route(plan: &Plan, name: &str) -> Result<Key, Refusal> {
    match plan.routes.iter().position(|known| known.name == name) {
        Some(place) if place >= KEYS_MAX => Err(not_alone("routes", "route")),
        Some(_) => Ok(Key::Route(name.into())),
        None if name == OTHER => Ok(Key::OtherRoutes),
        None if name == NONE => Ok(Key::NoRoute),
        None => Err(missing(format!("there is no route `{name}`; see /v1/routes"))),
    }
}

impl Wanted {
    /// Reads a query, which may have these keys.
    fn read(query: Fields, keys: &[&str]) -> Result<Wanted, Refusal> {
        let mut wanted = Wanted::default();
        let mut seen = Vec::new();
        for (key, value) in query {
            if !keys.contains(&key.as_str()) || seen.contains(&key) {
                let keys = keys.join(", ");
                return Err(bad(format!("the query may have {keys}, each once")));
            }
            match key.as_str() {
                "route" => wanted.route = Some(value),
                "upstream" => wanted.upstream = Some(value),
                "server" => wanted.server = Some(value),
                "window" if value == "lifetime" => {}
                "window" => {
                    let window = WINDOWS.into_iter().find(|(name, _)| *name == value);
                    let sentence = "the window may be lifetime, 10s, 1m or 5m";
                    wanted.window = Some(window.ok_or_else(|| bad(sentence))?);
                }
                _ => {
                    let phase = Phase::ALL.into_iter().find(|phase| phase.label() == value);
                    let names = Phase::ALL.map(Phase::label).join(", ");
                    let sentence = format!("the phase may be one of {names}");
                    wanted.phase = Some(phase.ok_or_else(|| bad(sentence))?);
                }
            }
            seen.push(key);
        }
        if wanted.route.is_some() && (wanted.server.is_some() || wanted.upstream.is_some()) {
            return Err(bad("ask for a route or for servers"));
        }
        Ok(wanted)
    }

    /// What that is in this plan.
    fn keys(&self, plan: &Plan) -> Result<Vec<Key>, Refusal> {
        match (&self.route, &self.server, &self.upstream) {
            (Some(route), ..) => Ok(vec![key_of_route(plan, route)?]),
            (None, None, None) => Ok(vec![Key::All]),
            (None, Some(server), None) if server == OTHER => Ok(vec![Key::OtherServers]),
            _ => self.keys_of_servers(plan),
        }
    }

    fn keys_of_servers(&self, plan: &Plan) -> Result<Vec<Key>, Refusal> {
        let named =
            |upstream: &UpstreamPlan| self.upstream.as_ref().is_none_or(|it| *it == upstream.name);
        let upstreams = plan.upstreams.iter();
        let all =
            upstreams.flat_map(|upstream| upstream.servers.iter().map(move |it| (upstream, it)));
        let meant = all.enumerate().filter(|(_, (it, server))| named(it) && self.is_meant(server));
        let (places, keys): (Vec<usize>, Vec<Key>) =
            meant.map(|(place, (_, server))| (place, Key::Server(server.id))).unzip();
        match places.last() {
            None => Err(missing("there is no such server; see /v1/servers")),
            Some(&last) if last >= KEYS_MAX => Err(not_alone("servers", "server")),
            Some(_) => Ok(keys),
        }
    }

    fn is_meant(&self, server: &ServerPlan) -> bool {
        let Some(name) = &self.server else { return true };
        server.host == *name || server.address.to_string() == *name
    }

    /// What was measured, and since when, since 1970.
    fn measured(&self, overview: &Overview<'_>) -> Result<(Latency, Duration), Refusal> {
        let (keys, ledger) = (self.keys(overview.plan)?, overview.ledger);
        Ok(match self.window {
            Some((_, window)) => ledger.last(&keys, window, now()),
            None => (ledger.lifetime(&keys), ledger.began()),
        })
    }
}

/// `GET /v1/latency`
pub async fn numbers(State(office): State<Office>, Query(query): Query<Fields>) -> Answer {
    let wanted = Wanted::read(query, &["route", "upstream", "server", "window"])?;
    let value = office.look(move |overview| {
        let (latency, since) = wanted.measured(overview)?;
        Ok(view(&wanted, &latency, since))
    });
    ok(&value.await??)
}

fn view(wanted: &Wanted, latency: &Latency, since: Duration) -> Value {
    let phases: Map<String, Value> = Phase::ALL
        .into_iter()
        .map(|phase| (phase.label().to_owned(), summary(&Summary::of(latency, phase))))
        .collect();
    json!({
        "window": wanted.window.map_or("lifetime", |(name, _)| name),
        "since": since.as_secs_f64(),
        "route": wanted.route,
        "upstream": wanted.upstream,
        "server": wanted.server,
        "unit": "microseconds",
        "phases": phases,
    })
}

fn summary(summary: &Summary) -> Value {
    let mut value = Map::new();
    value.insert("count".to_owned(), json!(summary.count));
    value.insert("min".to_owned(), json!(summary.min));
    value.insert("max".to_owned(), json!(summary.max));
    value.insert("mean".to_owned(), json!(summary.mean));
    value.insert("standard_deviation".to_owned(), json!(summary.deviation));
    for (percentile, micros) in PERCENTILES.iter().zip(summary.percentiles) {
        value.insert(format!("p{percentile}"), json!(micros));
    }
    Value::Object(value)
}

/// `GET /v1/latency.hgrm`
pub async fn distribution(State(office): State<Office>, Query(query): Query<Fields>) -> Answer {
    let wanted = Wanted::read(query, &["route", "upstream", "server", "window", "phase"])?;
    let phase = wanted.phase.unwrap_or(Phase::Total);
    let measured = office.look(move |overview| wanted.measured(overview)).await?;
    let (latency, _) = measured?;
    Ok(download(hgrm(&latency, phase).into_bytes(), "corelane.hgrm"))
}

/// `GET /v1/latency.hlog`: the last five minutes.
pub async fn log(State(office): State<Office>, Query(query): Query<Fields>) -> Answer {
    let wanted = Wanted::read(query, &["route", "upstream", "server"])?;
    let spans = office.look(move |overview| {
        let keys = wanted.keys(overview.plan)?;
        Ok::<_, Refusal>(overview.ledger.spans(&keys, now()))
    });
    let spans = spans.await??;
    let start = spans.first().map_or(Duration::ZERO, |(from, ..)| *from);
    let mut bytes = hlog_head(start).into_bytes();
    for (from, length, latency) in spans {
        hlog_lines(&mut bytes, LogInterval { from, length }, &latency).map_err(|error| {
            let sentence = format!("a histogram cannot be encoded: {error}");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, sentence)
        })?;
    }
    Ok(download(bytes, "corelane.hlog"))
}

fn download(bytes: Vec<u8>, name: &str) -> Response {
    let mut response = text(bytes, "text/plain; charset=utf-8");
    if let Ok(value) = format!("attachment; filename=\"{name}\"").parse() {
        response.headers_mut().insert(axum::http::header::CONTENT_DISPOSITION, value);
    }
    response
}
