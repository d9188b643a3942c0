//! Who watches what goes on, and the task that looks for them once a second.
//!
//! However many watch, it is looked once, and only while somebody does. Who is slow gets the newest
//! figures when it is ready for them and nothing of what was between: nothing is kept for it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
#[allow(clippy::disallowed_types, reason = "of the control side; held for a moment")]
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use http_body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::live::Window;
use super::patience::Patience;
use super::{Ask, Office, Sample};
use crate::control::clock::now;

/// Most who watch at once.
pub const WATCHERS_MAX: usize = 16;
/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(1);
/// After the first look, which has nothing to compare with.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);
/// How long shards may take to answer. They take milliseconds.
const SHARDS_MAX: Duration = Duration::from_secs(5);

/// Those who watch.
#[derive(Clone)]
pub struct Watchers(Arc<Shared>);

#[allow(clippy::disallowed_types, reason = "of the control side; held for a moment")]
struct Shared {
    places: Arc<Semaphore>,
    /// The newest figures; empty before there are any.
    newest: watch::Sender<Bytes>,
    /// Looks for them.
    looking: Mutex<Option<JoinHandle<()>>>,
}

impl Default for Watchers {
    fn default() -> Watchers {
        Watchers(Arc::new(Shared {
            places: Arc::new(Semaphore::new(WATCHERS_MAX)),
            newest: watch::channel(Bytes::new()).0,
            looking: Default::default(),
        }))
    }
}

/// One who watches.
pub struct Watcher {
    newest: watch::Receiver<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl Watchers {
    /// One more; `None`: there are too many.
    ///
    /// To be called by a task of the event loop, as all of this is: between the look of who looks
    /// at whether anyone is left and its end, nobody else joins.
    pub fn join(&self, office: &Office) -> Option<Watcher> {
        let _place = self.0.places.clone().try_acquire_owned().ok()?;
        let mut newest = self.0.newest.subscribe();
        let mut looking = self.0.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if looking.as_ref().is_some_and(|task| !task.is_finished()) {
            if !newest.borrow().is_empty() {
                newest.mark_changed();
            }
        } else {
            self.0.newest.send_replace(Bytes::new());
            newest.mark_unchanged();
            *looking = Some(tokio::spawn(look(office.clone())));
        }
        Some(Watcher { newest, _place })
    }
}

/// Looks until nobody watches or the process ends.
async fn look(office: Office) {
    let newest = &office.watchers.0.newest;
    let mut window = Window::default();
    let mut ticks = interval_at(Instant::now() + FIRST_INTERVAL, INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while newest.receiver_count() > 0 {
        match timeout(SHARDS_MAX, office.sample()).await {
            Ok(Some(sample)) => {
                let Some(views) = office.health.look().await else { return };
                if let Some(figures) = window.take(&sample, &views, now(), SystemTime::now()) {
                    newest.send_replace(figures.to_string().into());
                }
            }
            Ok(None) => return,
            Err(_) => tracing::warn!("a shard does not answer; nobody can see what goes on"),
        }
        ticks.tick().await;
    }
}

impl Office {
    /// What goes on now; `None`: the process ends.
    async fn sample(&self) -> Option<Sample> {
        let (reply, answer) = oneshot::channel();
        (self.ask)(Ask::Sample(reply));
        answer.await.ok()
    }
}

impl Watcher {
    /// The next figures, as JSON; `None`: there will be none.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.newest.changed().await.ok()?;
        Some(self.newest.borrow_and_update().clone())
    }

    /// Events (WHATWG HTML, section 9.2.6) for as long as they are taken.
    pub fn events(self, patience: Patience) -> Events {
        // Only the place for one: it is filled when the one before it is on its way.
        let (sender, events) = mpsc::channel(1);
        tokio::spawn(pass_on(self, sender, patience));
        Events(events)
    }
}

async fn pass_on(mut watcher: Watcher, sender: mpsc::Sender<Bytes>, patience: Patience) {
    while let Ok(place) = sender.reserve().await {
        tokio::select! {
            figures = watcher.next() => {
                let Some(figures) = figures else { return };
                place.send([b"data: ", &*figures, b"\n\n"].concat().into());
                patience.renew();
            }
            () = sender.closed() => return,
            () = patience.closed() => return,
        }
    }
}

/// The body of a response that goes on and on.
pub struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}
