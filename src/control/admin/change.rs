//! What is to be changed, as the body of a request says it.

use serde_json::{Map, Value};

use crate::control::health::Wish;
use crate::plan::{ServerState, WEIGHT_MAX};

/// A server's state or weight.
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    pub upstream: String,
    pub server: String,
    pub wish: Wish,
}

impl Server {
    /// Reads it.
    ///
    /// # Errors
    /// A sentence with what is wrong.
    pub fn read(body: &[u8]) -> Result<Server, String> {
        let fields = read_object(body)?;
        let mut change =
            Server { upstream: String::new(), server: String::new(), wish: Wish::default() };
        for (name, value) in &fields {
            match (name.as_str(), value) {
                ("upstream", Value::String(text)) => change.upstream.clone_from(text),
                ("server", Value::String(text)) => change.server.clone_from(text),
                ("state", value) => change.wish.state = Some(read_state(value)?),
                ("weight", value) => change.wish.weight = Some(read_weight(value)?),
                ("upstream" | "server", _) => return Err(format!("`{name}` is no string")),
                _ => {
                    let keys = "`upstream`, `server`, `state` and `weight`";
                    return Err(format!("unknown key `{name}`; there are {keys}"));
                }
            }
        }
        if change.upstream.is_empty() || change.server.is_empty() {
            return Err("name the `upstream` and its `server`".to_owned());
        }
        if change.wish == Wish::default() {
            return Err("say what to set: `state`, `weight` or both".to_owned());
        }
        Ok(change)
    }
}

fn read_state(value: &Value) -> Result<ServerState, String> {
    let state = ServerState::ALL.into_iter().find(|state| value == state.name());
    state.ok_or_else(|| format!("`state` is {value}; it may be \"up\", \"drain\" or \"down\""))
}

fn read_weight(value: &Value) -> Result<u32, String> {
    let weight = value.as_u64().and_then(|weight| u32::try_from(weight).ok());
    weight
        .filter(|weight| *weight <= WEIGHT_MAX)
        .ok_or_else(|| format!("`weight` is {value}; it may be a number from 0 to {WEIGHT_MAX}"))
}

/// Whether a route is closed.
#[derive(Debug, PartialEq, Eq)]
pub struct Maintenance {
    pub route: String,
    /// `None`: as configured.
    pub closed: Option<bool>,
}

impl Maintenance {
    /// Reads it.
    ///
    /// # Errors
    /// A sentence with what is wrong.
    pub fn read(body: &[u8]) -> Result<Maintenance, String> {
        let (mut route, mut said) = (None, None);
        for (name, value) in read_object(body)? {
            match (name.as_str(), value) {
                ("route", Value::String(text)) => route = Some(text),
                ("route", _) => return Err("`route` is no string".to_owned()),
                ("maintenance", value) => said = Some(read_maintenance(&value)?),
                _ => {
                    let keys = "`route` and `maintenance`";
                    return Err(format!("unknown key `{name}`; there are {keys}"));
                }
            }
        }
        let route = route.ok_or("name the `route`")?;
        let closed = said.ok_or("say what to set: `maintenance`")?;
        Ok(Maintenance { route, closed })
    }
}

fn read_maintenance(value: &Value) -> Result<Option<bool>, String> {
    match value.as_str() {
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some("auto") => Ok(None),
        _ => {
            let forms = "\"on\", \"off\" or \"auto\"";
            Err(format!("`maintenance` is {value}; it may be {forms}"))
        }
    }
}

fn read_object(body: &[u8]) -> Result<Map<String, Value>, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err("the body is no JSON object".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_strictly() {
        let read = |text: &str| Server::read(text.as_bytes());
        let change = read(r#"{"upstream":"app","server":"a:1","state":"drain","weight":0}"#);
        let wish = Wish { state: Some(ServerState::Drain), weight: Some(0) };
        let (upstream, server) = ("app".to_owned(), "a:1".to_owned());
        assert_eq!(change, Ok(Server { upstream, server, wish }));
        for (text, why) in [
            ("", "the body is no JSON"),
            ("[]", "the body is no JSON object"),
            (r#"{"upstream":"app","server":"a:1"}"#, "say what to set"),
            (r#"{"upstream":"app","state":"up"}"#, "name the `upstream` and its `server`"),
            (r#"{"upstream":1,"server":"a:1"}"#, "`upstream` is no string"),
            (r#"{"upstream":"a","server":"b","state":"UP"}"#, "`state` is \"UP\"; it may be"),
            (r#"{"upstream":"a","server":"b","weight":-1}"#, "`weight` is -1; it may be"),
            (r#"{"upstream":"a","server":"b","weight":1000001}"#, "`weight` is 1000001;"),
            (r#"{"upstream":"a","server":"b","wieght":1}"#, "unknown key `wieght`"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn routes_are_closed_and_opened() {
        let read = |text: &str| Maintenance::read(text.as_bytes());
        for (said, closed) in [("on", Some(true)), ("off", Some(false)), ("auto", None)] {
            let text = format!(r#"{{"route":"* /","maintenance":"{said}"}}"#);
            assert_eq!(read(&text), Ok(Maintenance { route: "* /".to_owned(), closed }));
        }
        for (text, why) in [
            ("3", "the body is no JSON object"),
            (r#"{"maintenance":"on"}"#, "name the `route`"),
            (r#"{"route":"a"}"#, "say what to set: `maintenance`"),
            (r#"{"route":"a","maintenance":true}"#, "`maintenance` is true; it may be \"on\","),
            (r#"{"route":["a"],"maintenance":"on"}"#, "`route` is no string"),
            (r#"{"route":"a","closed":true}"#, "unknown key `closed`"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.starts_with(why), "{error}");
        }
    }
}
