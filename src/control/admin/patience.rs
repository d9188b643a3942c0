//! How long a connection of the admin address may last.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

/// For a request and its answer, a reload included; and for a watcher to take what it was sent.
const TIME_MAX: Duration = Duration::from_secs(60);

/// One connection's time.
#[derive(Clone)]
pub struct Patience(Arc<Shared>);

struct Shared {
    until: watch::Sender<Instant>,
    /// Among those who come and go; watchers have none.
    place: watch::Sender<Option<OwnedSemaphorePermit>>,
    closed: watch::Receiver<()>,
}

impl Patience {
    /// That of a connection that begins now, and has this `place` until it ends. `closed`: its
    /// sender goes when who watches is no longer served.
    pub fn new(place: OwnedSemaphorePermit, closed: watch::Receiver<()>) -> Patience {
        let (until, _) = watch::channel(Instant::now() + TIME_MAX);
        let (place, _) = watch::channel(Some(place));
        Patience(Arc::new(Shared { until, place, closed }))
    }

    /// It is a watcher's from now on, which has been sent something: begins anew.
    pub fn renew(&self) {
        self.leave();
        self.0.until.send_replace(Instant::now() + TIME_MAX);
    }

    /// Whether it is a watcher's.
    pub fn is_a_watchers(&self) -> bool {
        self.0.place.borrow().is_none()
    }

    /// Leaves its place to another.
    pub fn leave(&self) {
        self.0.place.send_replace(None);
    }

    /// Waits until it is over.
    pub async fn ended(&self) {
        loop {
            let until = *self.0.until.borrow();
            sleep_until(until).await;
            if *self.0.until.borrow() == until {
                return;
            }
        }
    }

    /// Waits until watchers are no longer served.
    pub async fn closed(&self) {
        let mut closed = self.0.closed.clone();
        // Nothing is ever sent.
        while closed.changed().await.is_ok() {}
    }
}
