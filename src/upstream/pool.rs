//! Idle connections to one server: last in, first out, so that the rest may grow old and close.

use crate::plan::PoolPlan;
use crate::ring::Tick;
use crate::transport::Stream;

struct Idle {
    stream: Stream,
    announced: Box<[u8]>,
    since: Tick,
}

impl Idle {
    /// Whether it can carry a request. Its watch may have ended for want of buffers, or with the
    /// operation that kept it; then the socket itself is asked.
    fn is_good(&self, now: Tick, timeout: Tick) -> bool {
        let stream = &self.stream;
        let quiet = stream.is_watching() || (!stream.has_news() && stream.is_silent());
        quiet && now < self.since.saturating_add(timeout)
    }
}

/// The idle connections of one server in one shard.
pub struct Pool {
    idle: Vec<Idle>,
    max: usize,
    timeout: Tick,
}

impl Pool {
    /// An empty pool.
    pub fn new(plan: &PoolPlan) -> Pool {
        let timeout = Tick::try_from(plan.idle_timeout.as_nanos()).unwrap_or(Tick::MAX);
        Pool { idle: Vec::new(), max: plan.max_idle, timeout }
    }

    /// From now on as this plan says.
    pub fn resize(&mut self, plan: &PoolPlan) {
        let idle = std::mem::take(&mut self.idle);
        *self = Pool::new(plan);
        let surplus = idle.len().saturating_sub(self.max);
        self.idle.extend(idle.into_iter().skip(surplus));
    }

    /// The connection used last that is still good, of those that began with this announcement: it
    /// says whose the connection is, and nobody else may use it. Any news on an idle connection
    /// means that it is not good: the server closed it, or sent what nobody asked for.
    ///
    /// One that came back in this very turn has not been watched yet. That is soon enough for a
    /// request that may be sent again; `once` asks the socket itself.
    pub fn take(&mut self, announced: &[u8], now: Tick, once: bool) -> Option<Stream> {
        while let Some(last) = self.idle.iter().rposition(|idle| *idle.announced == *announced) {
            let idle = self.idle.remove(last);
            let unwatched = once && idle.since == now && !idle.stream.is_silent();
            if !unwatched && idle.is_good(now, self.timeout) {
                return Some(idle.stream);
            }
        }
        None
    }

    /// Keeps a connection whose last exchange is complete, and watches it for news.
    pub fn put(&mut self, stream: Stream, announced: Box<[u8]>, now: Tick) {
        if self.max == 0 {
            return;
        }
        if self.idle.len() >= self.max {
            self.idle.remove(0);
        }
        stream.arm();
        self.idle.push(Idle { stream, announced, since: now });
    }

    /// Closes connections that are idle for too long or were closed by the server.
    pub fn expire(&mut self, now: Tick) {
        let timeout = self.timeout;
        self.idle.retain(|idle| idle.is_good(now, timeout));
    }

    /// Closes all.
    pub fn clear(&mut self) {
        self.idle.clear();
    }

    /// How many are idle.
    pub fn count(&self) -> usize {
        self.idle.len()
    }
}
