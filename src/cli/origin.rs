//! The demo's origin server: something to stand behind the proxy, with a path for each behaviour
//! that a proxy must get right.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, Extension, Path, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::map_response_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::serve::ListenerExt;
use http_body::{Frame, SizeHint};

/// The field that names the answering server on every response.
const X_ORIGIN: HeaderName = HeaderName::from_static("x-origin");

/// The longest body that is made up on request.
const BYTES_MAX: u64 = 1 << 30;

/// The longest wait that is granted: a minute, in milliseconds.
const SLOW_MS_MAX: u64 = 60_000;

/// What the index and the 404 list: an example to try, and what it does.
const ROUTES: [(&str, &str); 9] = [
    ("/", "who answers"),
    ("/bytes/1000000", "that many bytes, with a Content-Length"),
    ("/chunked/1000000", "that many bytes, chunked"),
    ("/slow/1500", "an answer after that many milliseconds"),
    ("/status/503", "an answer with that status"),
    ("/headers", "the head of the request as it arrived here"),
    ("/echo", "POST: the body comes back as it arrives"),
    ("/upload", "POST: the body is read and counted"),
    ("/ws", "WebSocket: every message comes back"),
];

/// Serves [`router`] on `listener` until `shutdown` completes, then finishes what is in flight.
///
/// An answer that `/slow` still holds back delays the return by as long as it waits; a caller
/// that cannot wait drops the future instead.
pub async fn serve(
    listener: tokio::net::TcpListener,
    name: String,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    // A head and its body may leave in two writes; the second must not wait for an ACK.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let router = router(&name).layer(Extension(address));
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

/// The routes of the server called `name`, which every response carries as `X-Origin`.
pub fn router(name: &str) -> Router {
    let mark = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("origin"));
    Router::new()
        .route("/", get(index))
        .route("/bytes/{count}", get(bytes))
        .route("/chunked/{count}", get(chunked))
        .route("/slow/{milliseconds}", get(slow))
        .route("/status/{code}", any(status))
        .route("/headers", any(head))
        .route("/echo", post(echo))
        .route("/upload", post(upload))
        .route("/ws", any(web_socket))
        .fallback(unknown)
        .layer(DefaultBodyLimit::disable())
        .layer(map_response_with_state(mark, add_mark))
        .with_state(Name(name.into()))
}

/// The server's name, shared by all its handlers.
#[derive(Clone)]
struct Name(std::sync::Arc<str>);

async fn add_mark(State(mark): State<HeaderValue>, mut response: Response) -> Response {
    response.headers_mut().insert(X_ORIGIN, mark);
    response
}

/// Plain text, unless the client prefers a page as browsers do.
async fn index(
    State(Name(name)): State<Name>,
    address: Option<Extension<SocketAddr>>,
    fields: HeaderMap,
) -> Response {
    let who = match address {
        Some(Extension(address)) => format!("{name} on {address}"),
        None => name.to_string(),
    };
    let accept = fields.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        Html(page(&who)).into_response()
    } else {
        format!("{who}\n\n{}", listing()).into_response()
    }
}

fn listing() -> String {
    ROUTES.iter().map(|(path, what)| format!("  {path:<18} {what}\n")).collect()
}

fn page(who: &str) -> String {
    let who = who.replace('&', "&amp;").replace('<', "&lt;");
    let rows: String = ROUTES
        .iter()
        .map(|(path, what)| format!("<tr><td><a href=\"{path}\">{path}</a><td>{what}\n"))
        .collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{who}</title>\n\
         <style>body {{ font: 1rem/1.5 sans-serif; margin: 3rem auto; max-width: 40rem }}\n\
         td {{ padding-right: 2rem }}</style>\n\
         <h1>{who}</h1>\n\
         <p>This server answered. Reload, and the balancer may choose another.</p>\n\
         <table>\n{rows}</table>\n"
    )
}

async fn bytes(Path(count): Path<u64>) -> Response {
    filler(count, true)
}

async fn chunked(Path(count): Path<u64>) -> Response {
    filler(count, false)
}

fn filler(count: u64, announced: bool) -> Response {
    if count > BYTES_MAX {
        return too_much(format_args!("{BYTES_MAX} bytes"));
    }
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    ([kind], Body::new(Filler { left: count, announced })).into_response()
}

async fn slow(Path(milliseconds): Path<u64>) -> Response {
    if milliseconds > SLOW_MS_MAX {
        return too_much(format_args!("{SLOW_MS_MAX} milliseconds"));
    }
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    format!("answered after {milliseconds} ms\n").into_response()
}

fn too_much(most: std::fmt::Arguments<'_>) -> Response {
    (StatusCode::BAD_REQUEST, format!("at most {most}\n")).into_response()
}

/// Any final status; the interim ones are no answer and 1xx would end the connection.
async fn status(Path(code): Path<u16>) -> Response {
    match StatusCode::from_u16(code) {
        Ok(status) if !status.is_informational() => match code {
            // These end with their head.
            204 | 205 | 304 => status.into_response(),
            _ => (status, format!("{status}\n")).into_response(),
        },
        _ => (StatusCode::BAD_REQUEST, "a status is 200 to 999\n").into_response(),
    }
}

/// The head as this server sees it: what the proxy added and removed. Names are in lower case,
/// and fields of one name stand together.
async fn head(request: Request) -> String {
    let mut text = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    text
}

/// The body goes back while it still arrives; its length or chunking is that of the request.
async fn echo(request: Request) -> Response {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let mut response = Response::new(request.into_body());
    if let Some(kind) = kind {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

async fn upload(request: Request) -> Response {
    let mut body = request.into_body();
    let mut received = 0;
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => received += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => {
                return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response();
            }
            None => return format!("received {received} bytes\n").into_response(),
        }
    }
}

async fn web_socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(echo_messages)
}

/// Pings and the closing handshake are answered by the library.
async fn echo_messages(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn unknown(uri: Uri) -> Response {
    let text = format!("nothing at {}; this server has\n\n{}", uri.path(), listing());
    (StatusCode::NOT_FOUND, text).into_response()
}

/// A body of filler that is made as it is sent, so that its length costs no memory.
struct Filler {
    left: u64,
    /// Whether the length is known beforehand: Content-Length if so, chunked otherwise.
    announced: bool,
}

/// What one frame carries at most.
static FILLER: [u8; 64 * 1024] = [b'x'; 64 * 1024];

impl HttpBody for Filler {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.left.min(FILLER.len() as u64);
        self.left -= length;
        let data = Bytes::from_static(&FILLER[..length as usize]);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        // An unannounced empty body would otherwise be given a Content-Length of 0.
        self.announced && self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.announced { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests time themselves")]
mod tests;
