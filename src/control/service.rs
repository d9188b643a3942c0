//! The service manager: what it is told (sd_notify(3)), and the sockets that it passes on
//! (sd_listen_fds(3)). Where there is none, nothing happens.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use socket2::SockRef;

use super::sockets::Inherited;
use crate::plan::Address;

/// The sockets that were opened for this process, systemd.socket(5).
///
/// # Errors
/// When something else than a listening stream socket is passed.
pub fn sockets() -> io::Result<Vec<Inherited>> {
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        let socket: Option<OwnedFd> = match passed.take_tcp_listener(index) {
            Ok(listener) => listener.map(OwnedFd::from),
            Err(_) => passed.take_unix_listener(index)?.map(OwnedFd::from),
        };
        if let Some(socket) = socket {
            let address = address(&socket)?;
            let (configured, bound) = (address.clone(), address);
            sockets.push(Inherited {
                configured,
                bound,
                sockets: vec![socket],
                with_file: false,
                admin: false,
            });
        }
    }
    Ok(sockets)
}

fn address(socket: &OwnedFd) -> io::Result<Address> {
    let address = SockRef::from(socket).local_addr()?;
    let ip = address.as_socket().map(Address::Ip);
    let unix = || address.as_pathname().map(|path| Address::Unix(path.to_owned()));
    ip.or_else(unix).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// It serves; `status` is for people.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun; [`ready`] ends it, however it went.
pub fn reloading() {
    // The manager compares this with its own clock.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// `text` is for people.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// It drains.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Another process is the service now.
pub fn taken_over_by(process: u32) {
    tell(&[NotifyState::MainPid(process)]);
}

/// It is alive.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often the manager wants to hear that it is alive; `None`: it does not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
