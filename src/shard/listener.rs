//! Listening sockets: one for each shard and address.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::socket_file::SocketFile;
use crate::plan::{Address, ListenerPlan};

/// The sockets of one listener, one for each shard.
pub struct Bound {
    /// The address, with the port that the kernel chose where 0 was asked for.
    pub address: Address,
    /// One for each shard; more or fewer where they were made by another process.
    pub sockets: Vec<OwnedFd>,
    /// What stays of a Unix socket, to be kept for as long as somebody listens.
    pub file: Option<SocketFile>,
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    address: Address,
    error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, error } = self;
        write!(f, "cannot listen on {address}: ")?;
        match (Errno::from_io_error(error), address) {
            (Some(Errno::ADDRINUSE), Address::Ip(ip)) => write!(
                f,
                "the port is in use; find who has it with: ss -ltnp 'sport = :{}', and stop that \
                 or choose another port",
                ip.port()
            ),
            (Some(Errno::ADDRINUSE), Address::Unix(_)) => {
                write!(f, "another process listens there, or it is no socket; choose another path")
            }
            (Some(Errno::ACCESS), Address::Ip(ip)) if ip.port() < 1024 => write!(
                f,
                "ports below 1024 need privileges; run: setcap cap_net_bind_service=+ep on the \
                 binary, or choose a port from 1024 on"
            ),
            (Some(Errno::ACCESS), _) => {
                write!(f, "permission denied; make the directory writable for this user")
            }
            (Some(Errno::ADDRNOTAVAIL), _) => {
                write!(f, "this machine has no such address; see: ip address")
            }
            (Some(Errno::MFILE | Errno::NFILE), _) => {
                write!(f, "the limit on open files is too low; raise it: ulimit -n 65536")
            }
            _ => write!(f, "{error}; choose an address that this machine can listen on"),
        }
    }
}

impl std::error::Error for BindError {}

/// Opens `plan`'s sockets for `shards` shards of a process that listens on `own` already.
///
/// # Errors
/// [`BindError`], with the remedy.
pub fn bind(plan: &ListenerPlan, shards: usize, own: &[Address]) -> Result<Bound, BindError> {
    let bound = match &plan.address {
        Address::Ip(address) => bind_tcp(plan, *address, shards, own),
        Address::Unix(path) => bind_unix(plan, path, shards),
    };
    bound.map_err(|error| BindError { address: plan.address.clone(), error })
}

/// Opens the only socket of an address, with these permissions if it is a Unix socket.
///
/// # Errors
/// [`BindError`], with the remedy.
pub fn bind_alone(address: &Address, mode: u32, backlog: i32) -> Result<Bound, BindError> {
    let bound = match address {
        Address::Ip(ip) => tcp_socket(*ip, false).and_then(|socket| {
            socket.listen(backlog)?;
            let chosen = socket.local_addr()?.as_socket().unwrap_or(*ip);
            Ok(Bound { address: Address::Ip(chosen), sockets: vec![socket.into()], file: None })
        }),
        Address::Unix(path) => bind_unix_file(path).and_then(|(socket, file)| {
            // Nobody can connect before it listens.
            std::fs::set_permissions(path, Permissions::from_mode(mode))?;
            socket.listen(backlog)?;
            let sockets = vec![socket.into()];
            Ok(Bound { address: address.clone(), sockets, file: Some(file) })
        }),
    };
    bound.map_err(|error| BindError { address: address.clone(), error })
}

/// Another socket of a listener that is `bound` already, for a shard that would have none.
///
/// # Errors
/// Those of bind(2) and listen(2); EADDRINUSE where the others were made without SO_REUSEPORT.
pub fn bind_more(plan: &ListenerPlan, bound: &Address) -> io::Result<OwnedFd> {
    let Address::Ip(address) = bound else { return Err(Errno::ADDRINUSE.into()) };
    let socket = tcp_socket(*address, true)?;
    socket.listen(backlog(plan))?;
    Ok(socket.into())
}

fn bind_tcp(
    plan: &ListenerPlan,
    mut address: SocketAddr,
    shards: usize,
    own: &[Address],
) -> io::Result<Bound> {
    // SO_REUSEPORT would share the port with any other process of this user that sets it too, such
    // as another Corelane. A socket without it finds out, unless it is our own port, on another
    // address.
    let port = |own: &Address| match own {
        Address::Ip(own) => own.port() == address.port(),
        Address::Unix(_) => false,
    };
    if !own.iter().any(port) {
        drop(tcp_socket(address, false)?);
    }
    let mut sockets = Vec::new();
    for _ in 0..shards {
        let socket = tcp_socket(address, true)?;
        if let Some(chosen) = socket.local_addr()?.as_socket() {
            address = chosen;
        }
        socket.listen(backlog(plan))?;
        sockets.push(socket.into());
    }
    Ok(Bound { address: Address::Ip(address), sockets, file: None })
}

fn tcp_socket(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Inherited by accepted sockets: saves a system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Unix sockets have no SO_REUSEPORT: all shards accept from one.
fn bind_unix(plan: &ListenerPlan, path: &Path, shards: usize) -> io::Result<Bound> {
    let (socket, file) = bind_unix_file(path)?;
    socket.listen(backlog(plan))?;
    let sockets = (0..shards).map(|_| socket.try_clone().map(OwnedFd::from));
    let sockets = sockets.collect::<io::Result<_>>()?;
    Ok(Bound { address: plan.address.clone(), sockets, file: Some(file) })
}

/// A Unix socket that does not listen yet, and its file.
fn bind_unix_file(path: &Path) -> io::Result<(Socket, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::ADDRINUSE) => {
            if !is_left_behind(path, &address)? {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        result => result?,
    }
    let file = SocketFile::bound_at(path).inspect_err(|_| {
        // Nobody else would remove what was bound just now.
        let _ = std::fs::remove_file(path);
    })?;
    Ok((socket, file))
}

/// Whether `path` is a socket on which nobody listens any more.
fn is_left_behind(path: &Path, address: &SockAddr) -> io::Result<bool> {
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Somebody's full queue must not hold us up.
    probe.set_nonblocking(true)?;
    let refused = probe.connect(address).err().and_then(|error| Errno::from_io_error(&error));
    Ok(refused == Some(Errno::CONNREFUSED))
}

/// Sets the length of a socket's accept queue, also when it listens already.
///
/// # Errors
/// Those of listen(2).
pub fn listen(socket: &OwnedFd, plan: &ListenerPlan) -> io::Result<()> {
    SockRef::from(socket).listen(backlog(plan))
}

fn backlog(plan: &ListenerPlan) -> i32 {
    i32::try_from(plan.backlog).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Steering, TrustedProxies};

    fn listener(address: &str) -> ListenerPlan {
        at(Address::Ip(address.parse().unwrap()))
    }

    fn at(address: Address) -> ListenerPlan {
        let trusted_proxies = TrustedProxies::default();
        let (access, steering) = (None, Steering::Hash);
        let (backlog, proxy_protocol) = (16, false);
        ListenerPlan {
            name: None,
            address,
            backlog,
            steering,
            proxy_protocol,
            trusted_proxies,
            forwarded_for: true,
            access,
        }
    }

    #[test]
    fn shards_share_one_port_and_strangers_do_not() {
        let bound = bind(&listener("127.0.0.1:0"), 3, &[]).unwrap();
        assert_eq!(bound.sockets.len(), 3);
        let again = at(bound.address.clone());
        let error = bind(&again, 1, &[]).err().expect("the port is taken").to_string();
        assert!(error.contains("the port is in use"), "{error}");
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let plan = at(Address::Unix(path.clone()));
        let live = bind(&plan, 2, &[]).unwrap();
        let error = bind(&plan, 1, &[]).err().expect("it is live").to_string();
        assert!(error.contains("another process listens there"), "{error}");
        drop(live);
        assert!(!path.exists(), "the file goes with the sockets");
        let path = directory.path().join("file");
        std::fs::write(&path, "precious").unwrap();
        let plan = at(Address::Unix(path.clone()));
        assert!(bind(&plan, 1, &[]).is_err());
        assert_eq!(std::fs::read(path).unwrap(), b"precious");
    }
}
