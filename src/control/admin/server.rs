//! Connections of the admin address. Each has one request, and its time is limited: a client that
//! is slow or silent keeps nobody waiting. Those of watchers last as long as they take what they
//! are sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::gate::Gate;
use super::patience::Patience;
use super::{Office, api};
use crate::plan::{Address, AdminPlan};

/// Most connections at once, those of watchers apart. One more waits for a place.
const CONNECTIONS_MAX: usize = 32;
/// How long each keeps its place at least: more than an answer takes. Then, if another waits, the
/// oldest is closed.
const STAY: Duration = Duration::from_millis(500);
/// How long the head of a request may take.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// Longest head, bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long accepting rests when descriptors or memory are short.
const REST_WHEN_SHORT: Duration = Duration::from_millis(100);

/// Accepts until it is dropped; connections that it has then finish their request, and those of
/// watchers end.
pub struct Server {
    accepting: AbortHandle,
    /// Closed with this.
    _open: watch::Sender<()>,
}

impl Server {
    /// Serves on `socket` by `plan`, as tasks of `runtime`.
    pub fn start(runtime: &Handle, socket: OwnedFd, plan: &AdminPlan, office: Office) -> Server {
        let (address, gate) = (plan.address.clone(), Gate::new(plan));
        let (open, closed) = watch::channel(());
        let task = runtime.spawn(async move {
            let router = api::router(office, gate.changes());
            match Listener::new(socket, &address) {
                Ok(listener) => serve(listener, gate, router, closed).await,
                Err(error) => tracing::error!(%error, "the admin address cannot be served"),
            }
        });
        Server { accepting: task.abort_handle(), _open: open }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, and the address that it came to.
struct Accepted {
    stream: Box<dyn Stream>,
    local: Option<IpAddr>,
}

impl Listener {
    /// To be called by a task of the event loop.
    fn new(socket: OwnedFd, address: &Address) -> io::Result<Listener> {
        match address {
            Address::Ip(_) => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Listener::Tcp)
            }
            Address::Unix(_) => {
                let listener = std::os::unix::net::UnixListener::from(socket);
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Listener::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                let local = stream.local_addr().ok().map(|address| address.ip());
                Ok(Accepted { stream: Box::new(stream), local })
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted { stream: Box::new(stream), local: None })
            }
        }
    }
}

/// Connections that are open, the oldest first.
struct Visitors {
    open: VecDeque<Visitor>,
    places: Arc<Semaphore>,
}

struct Visitor {
    since: Instant,
    patience: Patience,
    connection: AbortHandle,
}

impl Visitors {
    /// A place for one more; `None` would mean that there are none at all.
    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        self.open.retain(|visitor| !visitor.connection.is_finished());
        let place = self.places.clone().acquire_owned();
        let brief = |visitor: &Visitor| !visitor.patience.is_a_watchers();
        let Some(oldest) = self.open.iter().position(brief) else { return place.await.ok() };
        if let Ok(place) = timeout_at(self.open[oldest].since + STAY, place).await {
            return place.ok();
        }
        if let Some(visitor) = self.open.remove(oldest) {
            visitor.connection.abort();
        }
        self.places.clone().acquire_owned().await.ok()
    }
}

async fn serve(listener: Listener, gate: Gate, router: Router, closed: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut visitors = Visitors { open: VecDeque::new(), places };
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                let Some(place) = visitors.place().await else { return };
                let patience = Patience::new(place, closed.clone());
                let exchange = exchange(accepted, gate.clone(), router.clone(), patience.clone());
                let visit = {
                    let patience = patience.clone();
                    async move {
                        exchange.await;
                        patience.leave();
                    }
                };
                let connection = tokio::spawn(visit).abort_handle();
                visitors.open.push_back(Visitor { since: Instant::now(), patience, connection });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin address cannot accept a connection");
                tokio::time::sleep(REST_WHEN_SHORT).await;
            }
        }
    }
}

/// One request and its answer.
async fn exchange(accepted: Accepted, gate: Gate, router: Router, patience: Patience) {
    let Accepted { stream, local } = accepted;
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(patience.clone());
        answer(request, local, &gate, &router)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder.keep_alive(false).max_buf_size(HEAD_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        result = connection => if let Err(error) = result {
            tracing::debug!(%error, "a connection of the admin address broke off");
        },
        () = patience.ended() => {
            tracing::debug!("a connection of the admin address took too long");
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    local: Option<IpAddr>,
    gate: &Gate,
    router: &Router,
) -> Result<Response, Infallible> {
    match gate.check(request.method(), request.uri().path(), request.headers(), local) {
        Ok(()) => TowerToHyperService::new(router.clone()).call(request).await,
        Err(denied) => Ok(api::denied(denied)),
    }
}
