//! One check of one server.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};

use http_body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::plan::{Address, CheckKind, CheckPlan, HttpCheck, ProxyVersion};

/// So much of an answer's body is searched, bytes.
const BODY_MAX: usize = 64 << 10;

/// Who asks.
const AGENT: &str = concat!("corelane/", env!("CARGO_PKG_VERSION"), " (health check)");

/// Why a check did not pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server is not well.
    Theirs(String),
    /// We could not ask; the server is not to blame.
    Ours(String),
}

/// Checks the server at `address`, which it knows itself as `name`. `announces`: connections to it
/// begin with a PROXY header.
///
/// # Errors
/// [`Fault`].
pub async fn run(
    plan: &CheckPlan,
    announces: Option<ProxyVersion>,
    address: &Address,
    name: &str,
) -> Result<(), Fault> {
    let preface = announces.map_or(&b""[..], ProxyVersion::own_header);
    let asked = async {
        match address {
            Address::Ip(ip) => {
                let stream = TcpStream::connect(ip).await.map_err(not_connected)?;
                ask(&plan.kind, preface, stream, name).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(not_connected)?;
                ask(&plan.kind, preface, stream, "localhost").await
            }
        }
    };
    let late = || Fault::Theirs(format!("it took longer than {:?}", plan.timeout));
    tokio::time::timeout(plan.timeout, asked).await.unwrap_or_else(|_| Err(late()))
}

fn not_connected(error: io::Error) -> Fault {
    let why = format!("it cannot be connected to: {error}");
    match Errno::from_io_error(&error) {
        Some(Errno::ADDRNOTAVAIL | Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            Fault::Ours(why)
        }
        _ => Fault::Theirs(why),
    }
}

async fn ask(
    kind: &CheckKind,
    preface: &[u8],
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
) -> Result<(), Fault> {
    stream.write_all(preface).await.map_err(not_connected)?;
    match kind {
        CheckKind::Tcp => Ok(()),
        CheckKind::Http(check) => request(check, stream, host).await.map_err(Fault::Theirs),
    }
}

async fn request(
    check: &HttpCheck,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
) -> Result<(), String> {
    let request = Request::builder()
        .method(check.method)
        .uri(&check.path)
        .header(HOST, check.host.as_deref().unwrap_or(host))
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(String::new())
        .map_err(|error| format!("the request cannot be made: {error}"))?;
    let no_answer = |error| format!("no valid answer: {error}");
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(no_answer)?;
        judge(check, response).await
    };
    // The connection moves the answer's bytes; how it ends shows in the answer.
    let (mut connection, mut answer) = (pin!(connection), pin!(answer));
    let mut ended = false;
    loop {
        tokio::select! {
            verdict = &mut answer => return verdict,
            _ = &mut connection, if !ended => ended = true,
        }
    }
}

async fn judge(check: &HttpCheck, response: hyper::Response<Incoming>) -> Result<(), String> {
    let status = response.status().as_u16();
    if !check.statuses.iter().any(|statuses| statuses.contains(&status)) {
        return Err(format!("status {status}"));
    }
    match &check.body {
        Some(wanted) => find(wanted, response.into_body()).await,
        None => Ok(()),
    }
}

/// Looks for `wanted` in the beginning of a body.
async fn find(wanted: &str, mut body: Incoming) -> Result<(), String> {
    let mut bytes = Vec::new();
    while bytes.len() < BODY_MAX {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| format!("its answer broke off: {error}"))?;
        let Ok(data) = frame.into_data() else { continue };
        bytes.extend_from_slice(&data[..data.len().min(BODY_MAX - bytes.len())]);
        if memchr::memmem::find(&bytes, wanted.as_bytes()).is_some() {
            return Ok(());
        }
    }
    Err(format!("its answer of {} bytes lacks {wanted:?}", bytes.len()))
}
