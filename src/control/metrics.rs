//! What is known, as Prometheus asks for it. docs/metrics.md lists the metrics.
//!
//! Families are made when somebody asks and forgotten when they are written: nothing is counted
//! twice, and nothing here costs a request anything.

mod collect;
mod family;
mod process;
mod protobuf;
mod text;

pub use collect::{NONE, OTHER, collect};
pub use family::Family;

/// How families are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text, with classic histograms.
    Text,
    /// Delimited protobuf messages, with native histograms beside the classic ones.
    Protobuf,
}

impl Format {
    /// What a scraper wants, by its `Accept`: protobuf only if it says so, and does not like text
    /// better.
    pub fn wanted(accept: &str) -> Format {
        let mut text = 0.0;
        let mut protobuf = 0.0;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut weight, mut fits) = (1.0, true);
            for part in parts {
                match part.split_once('=') {
                    Some(("q", value)) => weight = value.parse().unwrap_or(0.0),
                    Some(("proto", value)) => fits &= value == protobuf::MESSAGE,
                    Some(("encoding", value)) => fits &= value == "delimited",
                    _ => {}
                }
            }
            match media {
                "application/vnd.google.protobuf" if fits => protobuf = f64::max(protobuf, weight),
                "text/plain" => text = f64::max(text, weight),
                _ => {}
            }
        }
        if protobuf > 0.0 && protobuf >= text { Format::Protobuf } else { Format::Text }
    }

    /// The `Content-Type` of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::Protobuf => protobuf::CONTENT_TYPE,
        }
    }

    /// Writes `families`, whose classic histograms have these upper bounds, in microseconds.
    ///
    /// # Errors
    /// What of a family cannot be written; a fault of ours.
    pub fn write(self, families: &[Family], bounds: &[u64]) -> Result<Vec<u8>, String> {
        match self {
            Format::Text => text::write(families, bounds),
            Format::Protobuf => Ok(protobuf::write(families, bounds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_is_for_those_who_ask_for_it() {
        // Prometheus 2.40 and newer, with native histograms on and off.
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                      encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let classic = "application/openmetrics-text;version=1.0.0,\
                       text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::wanted(native), Format::Protobuf);
        let weighted = native.replacen("delimited", "delimited;q=0.4", 1);
        for accept in [classic, "", "*/*", "application/vnd.google.protobuf;q=0", &weighted] {
            assert_eq!(Format::wanted(accept), Format::Text, "{accept}");
        }
        let other = native.replace("io.prometheus.client.MetricFamily", "other.Message");
        assert_eq!(Format::wanted(&other), Format::Text);
    }
}
