//! Answers of the API as aligned text.

use serde_json::Value;

use crate::telemetry::{Counters, Gauges};

/// Which end of a column its cells stand at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

use Align::{Left, Right};

/// A heading, the field that it shows, and where that stands.
type Column = (&'static str, &'static str, Align);

pub fn listeners(value: &Value) -> String {
    let columns = [
        ("ADDRESS", "address", Left),
        ("LISTENING", "listening", Left),
        ("PROXY", "proxy_protocol", Left),
        ("BACKLOG", "backlog", Right),
    ];
    table(&columns, &value["listeners"], "no listeners")
}

pub fn routes(value: &Value) -> String {
    let columns = [
        ("NAME", "name", Left),
        ("HOSTS", "hosts", Left),
        ("PATH", "path", Left),
        ("ACTION", "action", Left),
        ("TARGET", "target", Left),
        ("MAINTENANCE", "maintenance", Left),
        ("BY HAND", "by_hand", Left),
    ];
    table(&columns, &value["routes"], "no routes")
}

pub fn upstreams(value: &Value) -> String {
    let columns = [
        ("NAME", "name", Left),
        ("BALANCE", "balance", Left),
        ("SERVERS", "servers", Right),
        ("UP", "up", Right),
        ("ACTIVE", "active", Right),
        ("IDLE", "idle", Right),
        ("REQUESTS", "requests", Right),
    ];
    table(&columns, &value["upstreams"], "no upstreams")
}

pub fn servers(value: &Value) -> String {
    let columns = [
        ("UPSTREAM", "upstream", Left),
        ("SERVER", "server", Left),
        ("ADDRESS", "address", Left),
        ("STATUS", "status", Left),
        ("STATE", "state", Left),
        ("CHECKS", "checks", Left),
        ("BACKUP", "backup", Left),
        ("WEIGHT", "weight", Right),
        ("ACTIVE", "active", Right),
        ("IDLE", "idle", Right),
        ("REQUESTS", "requests", Right),
    ];
    table(&columns, &value["servers"], "no servers")
}

/// In the order of the report.
pub fn counters(value: &Value) -> String {
    let counters = Counters::default();
    let gauges = Gauges::default();
    let labels = counters.entries().into_iter().chain(gauges.entries()).map(|(label, _)| label);
    let names = counters.named().into_iter().map(|(name, _)| &value["counters"][name]);
    let values = names.chain(gauges.named().into_iter().map(|(name, _)| &value["gauges"][name]));
    let rows = labels.zip(values).map(|(label, value)| vec![label.to_owned(), cell(value)]);
    aligned(&[Left, Right], rows.collect())
}

/// What a reload changed.
pub fn changes(value: &Value) -> String {
    let changes = value["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines: Vec<&str> = changes.iter().filter_map(Value::as_str).collect();
    match lines.is_empty() {
        true => "reloaded: nothing has changed".to_owned(),
        false => format!("reloaded:\n  {}", lines.join("\n  ")),
    }
}

fn table(columns: &[Column], items: &Value, none: &str) -> String {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return none.to_owned();
    }
    let heading = columns.iter().map(|(heading, ..)| (*heading).to_owned()).collect();
    let row = |item: &Value| columns.iter().map(|(_, field, _)| cell(&item[*field])).collect();
    let rows = std::iter::once(heading).chain(items.iter().map(row)).collect();
    let aligns: Vec<Align> = columns.iter().map(|(.., align)| *align).collect();
    aligned(&aligns, rows)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "*".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn aligned(aligns: &[Align], rows: Vec<Vec<String>>) -> String {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..aligns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells =
            row.iter().zip(&widths).zip(aligns).map(|((cell, &width), align)| match align {
                Left => format!("{cell:<width$}"),
                Right => format!("{cell:>width$}"),
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned() {
        let value = json!({ "upstreams": [
            { "name": "app", "balance": "p2c", "servers": 2, "up": 2, "active": 0, "idle": 17,
              "requests": 12345 },
            { "name": "a-longer-name", "balance": "round_robin", "servers": 10, "up": 0,
              "active": 3, "idle": 0, "requests": 1 },
        ]});
        assert_eq!(
            upstreams(&value),
            "NAME           BALANCE      SERVERS  UP  ACTIVE  IDLE  REQUESTS\n\
             app            p2c                2   2       0    17     12345\n\
             a-longer-name  round_robin       10   0       3     0         1"
        );
        assert_eq!(upstreams(&json!({ "upstreams": [] })), "no upstreams");
    }

    #[test]
    fn what_is_absent_or_many_is_shown_in_a_word() {
        let value = json!({ "routes": [
            { "name": "x", "hosts": [], "path": "/", "target": null },
            { "name": "y", "hosts": ["a", "b"], "path": "/", "action": "respond", "target": 204,
              "maintenance": true, "by_hand": false },
        ]});
        assert_eq!(
            routes(&value),
            "NAME  HOSTS  PATH  ACTION   TARGET  MAINTENANCE  BY HAND\n\
             x     *      /     -        -       -            -\n\
             y     a,b    /     respond  204     yes          -"
        );
    }

    #[test]
    fn every_counter_has_its_line() {
        let value = json!({ "counters": { "requests": 5 }, "gauges": { "idle": 7 } });
        let text = counters(&value);
        let number = |label: &str| {
            let line = text.lines().find(|line| line.starts_with(label)).expect("a line");
            line.rsplit(' ').next().expect("a number").to_owned()
        };
        assert_eq!(number("requests  "), "5");
        assert_eq!(number("idle connections to servers"), "7");
        assert_eq!(number("tunnels"), "-");
    }
}
