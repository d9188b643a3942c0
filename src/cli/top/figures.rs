//! What `/v1/live` says, read leniently: what is not there is not known.

use serde_json::Value;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Milliseconds since 1970.
    pub at: u64,
    pub version: String,
    /// `serving` or `draining`.
    pub state: String,
    pub requests_per_s: f64,
    /// Answers with 4xx, and with 5xx.
    pub errors_per_s: [Option<f64>; 2],
    pub aborted_per_s: Option<f64>,
    pub bytes_in_per_s: Option<f64>,
    pub bytes_out_per_s: Option<f64>,
    /// In the order of a request.
    pub phases: Vec<Phase>,
    pub shards: Vec<Shard>,
    pub servers: Vec<Server>,
    /// The newest first.
    pub errors: Vec<Line>,
    pub generation: u64,
    /// Whether the last reload was accepted; `None`: there was none.
    pub reload_ok: Option<bool>,
}

/// Times of a part of requests, microseconds.
#[derive(Clone, Debug, Default)]
pub struct Phase {
    pub name: &'static str,
    pub count: u64,
    /// p50, p90, p99, p99.9 and the longest.
    pub times: [u64; 5],
}

/// One core.
#[derive(Clone, Debug, Default)]
pub struct Shard {
    pub number: u64,
    pub cpu: u64,
    pub connections: u64,
    pub active: u64,
    pub idle: u64,
    pub requests_per_s: f64,
}

/// A server.
#[derive(Clone, Debug, Default)]
pub struct Server {
    pub upstream: String,
    pub server: String,
    pub status: String,
    pub active: u64,
    pub requests_per_s: f64,
    /// Of its upstream's requests, 0 to 1.
    pub share: Option<f64>,
    pub failures: u64,
    pub p99_us: Option<u64>,
}

/// A line of the log.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub at: u64,
    pub level: String,
    pub text: String,
}

/// Keys and names.
const PHASES: [(&str, &str); 6] = [
    ("head", "head"),
    ("queue", "queue"),
    ("connect", "connect"),
    ("first_byte", "first byte"),
    ("body", "body"),
    ("total", "total"),
];

impl Figures {
    /// Takes them from JSON.
    pub fn read(value: &Value) -> Figures {
        let phase = |(key, name): (&str, &'static str)| {
            let phase = &value["phases"][key];
            let times = ["p50", "p90", "p99", "p999", "max"].map(|name| whole(&phase[name]));
            Phase { name, count: whole(&phase["count"]), times }
        };
        Figures {
            at: whole(&value["at"]),
            version: text(&value["version"]),
            state: text(&value["state"]),
            requests_per_s: number(&value["requests_per_s"]),
            errors_per_s: ["4xx", "5xx"].map(|class| value["status_per_s"][class].as_f64()),
            aborted_per_s: value["client_left_per_s"].as_f64(),
            bytes_in_per_s: value["bytes_in_per_s"].as_f64(),
            bytes_out_per_s: value["bytes_out_per_s"].as_f64(),
            phases: PHASES.into_iter().map(phase).collect(),
            shards: list(&value["shards"], shard),
            servers: list(&value["servers"], server),
            errors: list(&value["errors"], |line| Line {
                at: whole(&line["at"]),
                level: text(&line["level"]),
                text: text(&line["text"]),
            }),
            generation: whole(&value["config"]["generation"]),
            reload_ok: value["config"]["last_reload"]["ok"].as_bool(),
        }
    }

    /// Connections of clients, over all shards.
    pub fn connections(&self) -> u64 {
        self.shards.iter().fold(0, |sum, shard| shard.connections.saturating_add(sum))
    }

    /// The whole of each request.
    pub fn total(&self) -> Option<&Phase> {
        self.phases.last().filter(|phase| phase.count > 0)
    }
}

fn shard(value: &Value) -> Shard {
    Shard {
        number: whole(&value["shard"]),
        cpu: whole(&value["cpu"]),
        connections: whole(&value["connections"]),
        active: whole(&value["active"]),
        idle: whole(&value["idle"]),
        requests_per_s: number(&value["requests_per_s"]),
    }
}

fn server(value: &Value) -> Server {
    Server {
        upstream: text(&value["upstream"]),
        server: text(&value["server"]),
        status: text(&value["status"]),
        active: whole(&value["active"]),
        requests_per_s: number(&value["requests_per_s"]),
        share: value["share"].as_f64(),
        failures: whole(&value["failures"]),
        p99_us: value["p99_us"].as_u64(),
    }
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().map(|items| items.iter().map(read).collect()).unwrap_or_default()
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

/// Without control characters: what is shown must not speak to the terminal.
fn text(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A rate or count, at most six characters wide below a billion.
pub fn rate(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2}M", v / 1e6),
        v if v >= 1e5 => format!("{:.0}k", v / 1e3),
        v if v >= 100.0 || v.fract() == 0.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

/// Bytes, with their unit.
pub fn bytes(value: f64) -> String {
    let (mut value, units) = (value, ["B", "kB", "MB", "GB"]);
    for unit in units {
        if value < 1000.0 {
            return format!("{value:.*}{unit}", usize::from(unit != "B" && value < 100.0));
        }
        value /= 1000.0;
    }
    format!("{value:.1}TB")
}

/// Microseconds, with a unit that keeps it short.
pub fn time(us: u64) -> String {
    let short = |value: f64, unit: &str| match value {
        v if v < 10.0 => format!("{v:.2}{unit}"),
        v if v < 100.0 => format!("{v:.1}{unit}"),
        v => format!("{v:.0}{unit}"),
    };
    match us {
        0 => "0".to_owned(),
        1..1_000 => format!("{us}us"),
        1_000..1_000_000 => short(us as f64 / 1e3, "ms"),
        _ => short(us as f64 / 1e6, "s"),
    }
}

/// The time of day in UTC, since a terminal need not know its own zone.
pub fn clock(ms: u64) -> String {
    let seconds = ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!([0.0, 9.5, 12.0, 123.4, 54_321.0].map(rate), ["0", "9.5", "12", "123", "54321"]);
        assert_eq!([123_456.0, 2_500_000.0].map(rate), ["123k", "2.50M"]);
        assert_eq!(
            [0.0, 999.0, 1500.0, 2.5e8, 3e12].map(bytes),
            ["0B", "999B", "1.5kB", "250MB", "3.0TB"]
        );
        assert_eq!(
            [0, 999, 1_000, 45_600, 999_000, 2_000_000].map(time),
            ["0", "999us", "1.00ms", "45.6ms", "999ms", "2.00s"]
        );
        assert_eq!(clock(86_400_000 + 3_661_500), "01:01:01");
    }

    #[test]
    fn what_is_missing_is_not_known_and_nothing_speaks_to_the_terminal() {
        let figures = Figures::read(&json!({
            "servers": [{ "server": "a\u{1b}[2Jb", "share": null }], "errors": 5,
        }));
        assert_eq!(figures.servers[0].server, "a [2Jb");
        assert_eq!((figures.servers[0].share, figures.errors.len()), (None, 0));
        assert!(figures.total().is_none());
        assert_eq!(figures.phases.len(), 6);
    }
}
