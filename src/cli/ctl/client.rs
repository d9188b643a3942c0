//! Requests to an admin address: with one answer, or with events for as long as they come.

use std::fmt;
use std::fs;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::config;
use crate::plan::{Address, AdminPlan, Token};

/// Longest answer, bytes.
const ANSWER_MAX: usize = 64 << 20;
/// How long an answer may take; the proxy gives up on its side before that.
const TIME_MAX: Duration = Duration::from_secs(70);
/// How long may pass between two events, of which there is one a second.
const SILENCE_MAX: Duration = Duration::from_secs(8);

/// Whom to ask.
pub struct Target {
    address: Address,
    token: Option<Token>,
}

/// What it said.
pub struct Answer {
    status: StatusCode,
    /// As it came.
    pub text: String,
    /// As JSON; null if it is none.
    pub value: Value,
}

impl Answer {
    /// Whether it did what was asked.
    pub fn is_ok(&self) -> bool {
        self.status.is_success()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Target {
    /// The address and token that are given, else those in the file. Who only looks, through an
    /// address that only this machine reaches, needs no token, and may not be allowed to read it.
    ///
    /// # Errors
    /// A sentence with the remedy.
    pub fn find(
        config: &Path,
        admin: Option<&str>,
        token_file: Option<&Path>,
        changes: bool,
    ) -> Result<Target, String> {
        let given = token_file.map(read_token).transpose()?;
        if let Some(text) = admin {
            let address = text.parse();
            let address = address
                .map_err(|_| format!("`{text}` is no address; write IP:PORT or unix:/PATH"))?;
            return Ok(Target { address, token: given });
        }
        let file = config.display();
        let needs_token = |plan: &AdminPlan| given.is_none() && (changes || plan.is_public());
        let plan = config::admin(config, needs_token).map_err(|complaints| {
            let complaints: Vec<String> = complaints.iter().map(ToString::to_string).collect();
            format!(
                "the admin address is not known: {}; mend that, or name the address with --admin",
                complaints.join("; ")
            )
        })?;
        let plan = plan.ok_or_else(|| {
            format!(
                "{file} has no admin address; add [admin] with address = \
                 \"unix:/run/corelane/admin.sock\" and send it SIGHUP, or name another file with -c"
            )
        })?;
        let address = reachable(plan.address).ok_or_else(|| {
            format!("{file} lets the kernel choose the admin port; name the address with --admin")
        })?;
        Ok(Target { address, token: given.or(plan.token) })
    }
}

fn read_token(file: &Path) -> Result<Token, String> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| format!("the token file {shown} cannot be read: {error}"))?;
    Token::new(text.trim()).ok_or_else(|| format!("the token file {shown} holds no token"))
}

/// Where a local client reaches a listening address; `None`: who knows.
fn reachable(address: Address) -> Option<Address> {
    let Address::Ip(ip) = address else { return Some(address) };
    let host = match ip {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => ip.ip(),
    };
    (ip.port() != 0).then(|| Address::Ip(SocketAddr::new(host, ip.port())))
}

/// Sends a request and takes the answer.
///
/// # Errors
/// A sentence that says why there is none.
pub fn ask(
    target: &Target,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot ask: {error}"))?;
    runtime.block_on(async {
        let asked = async { read(send(target, method, path, body).await?, target).await };
        let late = |_| format!("{} does not answer within {TIME_MAX:?}", target.address);
        tokio::time::timeout(TIME_MAX, asked).await.map_err(late)?
    })
}

fn not_connected(target: &Target, error: &io::Error) -> String {
    let address = &target.address;
    let remedy = match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) => "run this as a user whom `mode` of [admin] lets in",
        _ => "is the proxy running, and has it read [admin] since that was written?",
    };
    format!("cannot connect to {address}: {error}; {remedy}")
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(target: &Target) -> Result<Box<dyn Stream>, String> {
    let refused = |error: io::Error| not_connected(target, &error);
    Ok(match &target.address {
        Address::Ip(ip) => Box::new(TcpStream::connect(ip).await.map_err(refused)?),
        Address::Unix(socket) => Box::new(UnixStream::connect(socket).await.map_err(refused)?),
    })
}

/// Sends a request and takes the head of the answer.
async fn send(
    target: &Target,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Response<Incoming>, String> {
    let stream = connect(target).await?;
    let address = &target.address;
    let host = match address {
        Address::Ip(ip) => ip.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let mut request = Request::builder().method(method).uri(path).header(HOST, host);
    if let Some(token) = &target.token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
    }
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request =
        request.body(body).map_err(|error| format!("the request cannot be made: {error}"))?;
    let failed = |error| format!("{address} gives no valid answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with the answer, or with the process.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(failed)
}

/// Takes the rest of an answer.
async fn read(response: Response<Incoming>, target: &Target) -> Result<Answer, String> {
    let address = &target.address;
    let (head, body) = response.into_parts();
    let bytes = to_bytes(Body::new(body), ANSWER_MAX).await;
    let bytes = bytes.map_err(|error| format!("the answer of {address} broke off: {error}"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Answer { status: head.status, text, value }),
        Err(_) => Err(format!("what answers at {address} is no admin address of Corelane")),
    }
}

/// Why no more events come.
pub enum Over {
    /// The proxy gives none; its reason.
    Refused(String),
    /// There is no connection (any more).
    Lost(String),
    /// `each` wants no more.
    Enough,
}

/// Asks for events, and calls `each` with the data of each for as long as that returns true.
pub async fn follow(target: &Target, path: &str, mut each: impl FnMut(Value) -> bool) -> Over {
    let address = &target.address;
    let silent = |_| format!("{address} is silent");
    let sent = tokio::time::timeout(SILENCE_MAX, send(target, "GET", path, None)).await;
    let response = match sent.map_err(silent).and_then(|sent| sent) {
        Ok(response) => response,
        Err(error) => return Over::Lost(error),
    };
    if !response.status().is_success() {
        let answer = read(response, target).await;
        let said = answer.map(|answer| answer.value["error"].as_str().map(str::to_owned));
        return Over::Refused(said.unwrap_or_else(Some).unwrap_or_else(|| "refused".to_owned()));
    }
    let mut body = response.into_body();
    let mut text = Vec::new();
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let frame = match tokio::time::timeout(SILENCE_MAX, frame).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Over::Lost(format!("{address}: {error}")),
            Ok(None) => return Over::Lost(format!("{address} has closed the connection")),
            Err(elapsed) => return Over::Lost(silent(elapsed)),
        };
        text.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if text.len() > ANSWER_MAX {
            return Over::Lost(format!("{address} sends an event that does not end"));
        }
        while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            let data = event.strip_prefix(b"data: ").map(serde_json::from_slice::<Value>);
            if let Some(Ok(value)) = data
                && !each(value)
            {
                return Over::Enough;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_addresses_are_reached_from_here() {
        let reach = |text: &str| {
            let address = text.parse().expect("an address");
            reachable(address).map(|address| address.to_string())
        };
        for (text, there) in [
            ("0.0.0.0:9900", Some("127.0.0.1:9900")),
            ("[::]:9900", Some("[::1]:9900")),
            ("10.0.0.1:9900", Some("10.0.0.1:9900")),
            ("unix:/s", Some("unix:/s")),
            ("127.0.0.1:0", None),
        ] {
            assert_eq!(reach(text).as_deref(), there, "{text}");
        }
    }
}
