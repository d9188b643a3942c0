//! `GET /metrics`, for Prometheus and those who speak its language.

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};

use super::Office;
use super::api::{Answer, refusal, text};
use crate::control::metrics::{Format, collect};

/// Every metric, as text or as protobuf.
pub async fn metrics(State(office): State<Office>, fields: HeaderMap) -> Answer {
    let accept = fields.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::wanted(&accept.collect::<Vec<_>>().join(","));
    let views = office.views().await?;
    let made = office.look(move |overview| {
        let buckets = &overview.plan.telemetry.buckets;
        let micros =
            |bound: &std::time::Duration| u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        (collect(overview, &views), buckets.iter().map(micros).collect::<Vec<u64>>())
    });
    let (families, bounds) = made.await?;
    let written = format.write(&families, &bounds);
    let bytes = written.map_err(|error| {
        let sentence = format!("the metrics cannot be written: {error}; please report this");
        refusal(StatusCode::INTERNAL_SERVER_ERROR, sentence)
    })?;
    Ok(text(bytes, format.content_type()))
}
