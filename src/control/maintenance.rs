//! Watches the files that say when routes are closed.
//!
//! It looks for them several times a second, rather than being told (inotify(7)): nobody asks for
//! more than a few, a look costs a microsecond, and it sees what other machines do on a network
//! file system. One that hangs keeps nothing waiting but this.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::plan::{Plan, Switch};

/// How often.
const LOOK: Duration = Duration::from_millis(200);

/// Whoever watches, once there is something to be watched.
#[derive(Default)]
pub struct Watchman {
    orders: Option<Sender<Vec<Switch>>>,
}

impl Watchman {
    /// Watches the files of `plan` from now on.
    ///
    /// # Errors
    /// When no thread can be started; then nothing is watched.
    pub fn adopt(&mut self, plan: &Plan) -> io::Result<()> {
        let content = plan.routes.iter().filter_map(|route| route.content.as_ref());
        let maintenance = content.filter_map(|content| content.maintenance.as_ref());
        let switches: Vec<Switch> = maintenance.filter_map(|plan| plan.when.clone()).collect();
        if switches.is_empty() && self.orders.is_none() {
            return Ok(());
        }
        let orders = match self.orders.take() {
            Some(orders) => orders,
            None => start()?,
        };
        // It lives for as long as it may get orders.
        let _ = orders.send(switches);
        self.orders = Some(orders);
        Ok(())
    }
}

fn start() -> io::Result<Sender<Vec<Switch>>> {
    let (orders, received) = channel();
    let thread = std::thread::Builder::new().name("maintenance".into());
    thread.spawn(move || watch(&received))?;
    Ok(orders)
}

fn watch(orders: &Receiver<Vec<Switch>>) {
    let mut switches: Vec<Switch> = Vec::new();
    loop {
        let next = match switches.is_empty() {
            true => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => orders.recv_timeout(LOOK),
        };
        match next {
            Ok(others) => switches = others,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        switches.iter().for_each(look);
    }
}

/// What cannot be told stays as it is.
fn look(switch: &Switch) {
    let Ok(on) = switch.path.try_exists() else { return };
    if switch.turn(on) {
        let file = switch.path.display();
        match on {
            true => tracing::info!(%file, "maintenance begins"),
            false => tracing::info!(%file, "maintenance is over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_turns_its_switch() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("closed");
        let switch = Switch::new(path.clone(), false);
        look(&switch);
        assert!(!switch.is_on());
        std::fs::write(&path, "").unwrap();
        look(&switch);
        assert!(switch.is_on());
        // No directory any more, so nobody can tell.
        let lost = Switch::new(path.join("below a file"), true);
        look(&lost);
        assert!(lost.is_on());
        std::fs::remove_file(&path).unwrap();
        look(&switch);
        assert!(!switch.is_on());
    }
}
