//! A connection to a server: an idle one, or a new one.

use std::fmt;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Type};

use super::{Lease, Verdict};
use crate::ring::{Ring, Timer};
use crate::transport::Stream;

/// A connection ready for a request.
pub struct Connected {
    /// The connection.
    pub stream: Stream,
    /// Whether it has served a request before.
    pub reused: bool,
}

/// Why there is no connection. Nothing was sent.
#[derive(Debug)]
pub enum ConnectError {
    /// It took longer than the connect timeout.
    Timeout,
    /// The server or the network said no.
    Refused(io::Error),
    /// An operator has taken the server down.
    TakenDown,
    /// We are short of descriptors, ports or memory; the server is not to blame.
    Ours(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Timeout => f.write_str("no answer in time"),
            ConnectError::TakenDown => f.write_str("taken down by hand"),
            ConnectError::Refused(error) | ConnectError::Ours(error) => error.fmt(f),
        }
    }
}

impl ConnectError {
    /// Whether closing what is idle would help. It frees no local port: those stay taken for a
    /// minute after a close of ours (TIME_WAIT).
    pub fn is_shortage(&self) -> bool {
        match self {
            ConnectError::Ours(error) => Errno::from_io_error(error) != Some(Errno::ADDRNOTAVAIL),
            ConnectError::Timeout | ConnectError::Refused(_) | ConnectError::TakenDown => false,
        }
    }

    /// What the failure says about the server; `None`: nothing.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            ConnectError::Timeout => Some(Verdict::Failed),
            ConnectError::Refused(error) => match Errno::from_io_error(error) {
                // A Unix socket whose server has gone, or was never there.
                Some(Errno::CONNREFUSED | Errno::NOENT) => Some(Verdict::Refused),
                _ => Some(Verdict::Failed),
            },
            ConnectError::TakenDown | ConnectError::Ours(_) => None,
        }
    }
}

impl Lease {
    /// The idle connection to this lease's server that was used last, of those that began with this
    /// announcement. `once`: for a request that cannot be sent again should the connection prove
    /// stale.
    pub fn reuse(&self, ring: &Ring, announced: &[u8], once: bool) -> Option<Connected> {
        let stream = self.server().take_idle(announced, ring.now(), once)?;
        Some(Connected { stream, reused: true })
    }

    /// A new connection to this lease's server.
    ///
    /// # Errors
    /// Why there is none; nothing was sent.
    pub async fn dial(
        &self,
        ring: &Ring,
        timer: &Timer,
        limit: Duration,
    ) -> Result<Connected, ConnectError> {
        if self.server().is_set_down() {
            return Err(ConnectError::TakenDown);
        }
        let Some(address) = self.server().address() else {
            return Err(ConnectError::Refused(Errno::HOSTUNREACH.into()));
        };
        let stream = Stream::server(ring, socket_for(address).map_err(ConnectError::Ours)?.into());
        match timer.within(limit, stream.socket.connect(address)).await {
            Err(_) => Err(ConnectError::Timeout),
            Ok(Ok(())) => Ok(Connected { stream, reused: false }),
            Ok(Err(error)) if is_ours(&error) => Err(ConnectError::Ours(error)),
            Ok(Err(error)) => Err(ConnectError::Refused(error)),
        }
    }
}

fn socket_for(address: &SockAddr) -> io::Result<socket2::Socket> {
    let domain = Domain::from(i32::from(address.family()));
    let tcp = domain != Domain::UNIX;
    let socket = socket2::Socket::new(domain, Type::STREAM, tcp.then_some(Protocol::TCP))?;
    if tcp {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(socket)
}

fn is_ours(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ADDRNOTAVAIL | Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
