//! The routes of the API, version 1.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::gate::Denied;
use super::patience::Patience;
use super::view::{self, Views};
use super::watchers::WATCHERS_MAX;
use super::{Ask, InForce, NotSet, Office, Overview, Status, change, gate, latency, metrics, page};
use crate::control::audience::Totals;

/// Longest body of a request, bytes.
const BODY_MAX: usize = 16 << 10;
/// How long a body may take.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long shards may take to answer, or to hear of a server. They take milliseconds.
const SHARDS_MAX: Duration = Duration::from_secs(5);

/// Who may change something at this address; see [`gate::Gate::changes`].
#[derive(Clone, Copy)]
struct Changes(&'static str);

/// All of it.
pub fn router(office: Office, changes: &'static str) -> Router {
    Router::new()
        .route(gate::PAGE, get(show_page))
        .route("/v1", get(about))
        .route("/v1/live", get(live))
        .route("/v1/config", get(config))
        .route("/v1/listeners", get(listeners))
        .route("/v1/routes", get(routes).patch(set_route))
        .route("/v1/upstreams", get(upstreams))
        .route("/v1/servers", get(servers).patch(set_server))
        .route("/v1/counters", get(counters))
        .route("/v1/counters/reset", post(reset))
        .route("/v1/latency", get(latency::numbers))
        .route("/v1/latency.hgrm", get(latency::distribution))
        .route("/v1/latency.hlog", get(latency::log))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/reload", get(last_reload).post(reload))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(Changes(changes)))
        .with_state(office)
}

/// An answer that says why there is no other.
pub(super) struct Refusal {
    status: StatusCode,
    sentence: String,
}

pub(super) fn refusal(status: StatusCode, sentence: impl Into<String>) -> Refusal {
    Refusal { status, sentence: sentence.into() }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(self.status, &json!({ "error": self.sentence }))
    }
}

pub(super) type Answer = Result<Response, Refusal>;

fn answer(status: StatusCode, value: &Value) -> Response {
    let mut response = text(format!("{value}\n").into_bytes(), "application/json");
    *response.status_mut() = status;
    response
}

/// An answer of this type that nobody is to keep.
pub(super) fn text(bytes: Vec<u8>, content_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let fields = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) fn ok(value: &Value) -> Answer {
    Ok(answer(StatusCode::OK, value))
}

/// The answer to a request that is not let in.
pub fn denied(denied: Denied) -> Response {
    let mut response = refusal(denied.status, denied.sentence).into_response();
    if denied.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn ending() -> Refusal {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "this process is ending")
}

impl Office {
    /// Asks the main thread.
    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        (self.ask)(ask(reply));
        answer.await.map_err(|_| ending())
    }

    /// What `look` makes of what is known, the newest of all shards included.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Overview<'_>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.totals(false).await?;
        self.ask(|reply| {
            Ask::Look(Box::new(move |overview| {
                // Whoever asked may have gone.
                let _ = reply.send(look(overview));
            }))
        })
        .await
    }

    async fn status(&self) -> Result<Status, Refusal> {
        self.ask(Ask::Status).await
    }

    async fn totals(&self, reset: bool) -> Result<Totals, Refusal> {
        let totals = self.ask(|reply| Ask::Totals { reset, reply });
        timeout(SHARDS_MAX, totals).await.unwrap_or_else(|_| {
            let sentence = "a shard does not answer; see the log";
            Err(refusal(StatusCode::SERVICE_UNAVAILABLE, sentence))
        })
    }

    pub(super) async fn views(&self) -> Result<Views, Refusal> {
        self.health.look().await.ok_or_else(ending)
    }
}

async fn show_page() -> Answer {
    let none =
        || refusal(StatusCode::INTERNAL_SERVER_ERROR, "there is no page; please report this");
    page::page().ok_or_else(none)
}

async fn about(
    State(office): State<Office>,
    Extension(Changes(changes)): Extension<Changes>,
) -> Answer {
    ok(&view::about(&office.status().await?, changes))
}

async fn config(State(office): State<Office>) -> Answer {
    let in_force: InForce = office.ask(Ask::InForce).await?;
    ok(&view::config(&in_force))
}

/// What goes on, once a second until one side ends it; with `?once`, one answer after a second.
async fn live(
    State(office): State<Office>,
    Extension(patience): Extension<Patience>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let once = match query.as_slice() {
        [] => false,
        [(key, value)] if key == "once" && value.is_empty() => true,
        _ => return Err(refusal(StatusCode::BAD_REQUEST, "the query may be ?once")),
    };
    let full = || {
        let sentence = format!("{WATCHERS_MAX} watch already; close one");
        refusal(StatusCode::SERVICE_UNAVAILABLE, sentence)
    };
    let mut watcher = office.watchers.join(&office).ok_or_else(full)?;
    let (body, form) = if once {
        let figures = watcher.next().await.ok_or_else(ending)?;
        (Body::from([&*figures, b"\n"].concat()), "application/json")
    } else {
        (Body::new(watcher.events(patience)), "text/event-stream")
    };
    let mut response = answer(StatusCode::OK, &Value::Null);
    *response.body_mut() = body;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form));
    Ok(response)
}

async fn listeners(State(office): State<Office>) -> Answer {
    ok(&view::listeners(&office.status().await?))
}

async fn routes(State(office): State<Office>) -> Answer {
    ok(&view::routes(&office.status().await?.plan, None))
}

async fn upstreams(State(office): State<Office>) -> Answer {
    let (totals, status) = (office.totals(false).await?, office.status().await?);
    ok(&view::upstreams(&status.plan, &office.views().await?, &totals))
}

async fn servers(
    State(office): State<Office>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let mut only = None;
    for (key, value) in query {
        if key != "upstream" || only.replace(value).is_some() {
            let sentence = "the query may be ?upstream=NAME, once";
            return Err(refusal(StatusCode::BAD_REQUEST, sentence));
        }
    }
    let (totals, status) = (office.totals(false).await?, office.status().await?);
    if let Some(only) = &only
        && !status.plan.upstreams.iter().any(|upstream| upstream.name == *only)
    {
        let sentence = format!("there is no upstream `{only}`");
        return Err(refusal(StatusCode::NOT_FOUND, sentence));
    }
    ok(&view::servers(&status.plan, &office.views().await?, &totals, only.as_deref()))
}

async fn counters(State(office): State<Office>) -> Answer {
    ok(&view::counters(&office.totals(false).await?))
}

/// Answers with what was counted until then.
async fn reset(State(office): State<Office>) -> Answer {
    ok(&view::counters(&office.totals(true).await?))
}

async fn last_reload(State(office): State<Office>) -> Answer {
    let last = office.ask(Ask::LastReload).await?;
    ok(&last.as_ref().map_or_else(view::no_outcome, view::outcome))
}

async fn reload(State(office): State<Office>) -> Answer {
    let busy = |sentence: &'static str| refusal(StatusCode::SERVICE_UNAVAILABLE, sentence);
    let outcome = office.ask(Ask::Reload).await?.map_err(busy)?;
    let status = match outcome.result {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok(answer(status, &view::outcome(&outcome)))
}

/// The body of a request that changes something.
async fn read_body(request: Request) -> Result<Bytes, Refusal> {
    let late = |_| refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    let body = timeout(BODY_TIME_MAX, to_bytes(request.into_body(), BODY_MAX)).await;
    body.map_err(late)?.map_err(|error| {
        let sentence = format!("the body cannot be read: {error}; it may have {BODY_MAX} bytes");
        refusal(StatusCode::BAD_REQUEST, sentence)
    })
}

fn not_set(error: NotSet) -> Refusal {
    match error {
        NotSet::Unknown(sentence) => refusal(StatusCode::NOT_FOUND, sentence),
        NotSet::Busy => {
            let sentence = "too many changes wait already; ask again";
            refusal(StatusCode::SERVICE_UNAVAILABLE, sentence)
        }
    }
}

/// Answers with the routes of that name.
async fn set_route(State(office): State<Office>, request: Request) -> Answer {
    let read = change::Maintenance::read(&read_body(request).await?);
    let change::Maintenance { route, closed } =
        read.map_err(|sentence| refusal(StatusCode::BAD_REQUEST, sentence))?;
    let name = route.clone();
    office.ask(|reply| Ask::Close { route: name, closed, reply }).await?.map_err(not_set)?;
    ok(&view::routes(&office.status().await?.plan, Some(&route)))
}

async fn set_server(State(office): State<Office>, request: Request) -> Answer {
    let body = read_body(request).await?;
    let read = change::Server::read(&body);
    let change::Server { upstream, server, wish } =
        read.map_err(|sentence| refusal(StatusCode::BAD_REQUEST, sentence))?;
    let (asked_upstream, asked_server) = (upstream.clone(), server.clone());
    let set = |reply| Ask::Set { upstream: asked_upstream, server: asked_server, wish, reply };
    let known = office.ask(set).await?.map_err(not_set)?;
    // A shard that ends hears of nothing any more; the others do.
    let _ = timeout(SHARDS_MAX, known).await;
    let (totals, status) = (office.totals(false).await?, office.status().await?);
    let all = view::servers(&status.plan, &office.views().await?, &totals, Some(&upstream));
    let servers = all["servers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = servers.iter().find(|one| one["server"] == *server || one["address"] == *server);
    ok(found.unwrap_or(&Value::Null))
}

async fn unknown(uri: Uri) -> Response {
    let sentence = format!(
        "there is nothing at {}; there are /, /metrics, /v1, and /v1/ with live, config, \
         listeners, routes, upstreams, servers, counters, counters/reset, latency, latency.hgrm, \
         latency.hlog and reload",
        uri.path()
    );
    refusal(StatusCode::NOT_FOUND, sentence).into_response()
}

async fn wrong_method() -> Response {
    let sentence = "this cannot be asked with that method; see Allow";
    refusal(StatusCode::METHOD_NOT_ALLOWED, sentence).into_response()
}
