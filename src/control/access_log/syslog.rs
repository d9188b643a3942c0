//! Lines as messages to a syslog daemon (RFC 3164), in the form that nginx gives them.

use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use jiff::Zoned;

/// Facility local7 and severity info (RFC 3164 §4.1.1): 23 × 8 + 6.
const PRIORITY: u32 = 190;

/// A daemon, who may come and go.
pub struct Syslog {
    socket: UnixDatagram,
    /// Where it listens.
    path: PathBuf,
    host: String,
    message: Vec<u8>,
}

impl Syslog {
    /// The daemon that listens there, now or later.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn new(path: &Path) -> io::Result<Syslog> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (socket, path) = (UnixDatagram::unbound()?, path.to_owned());
        Ok(Syslog { socket, path, host, message: Vec::new() })
    }

    /// Sends each line as a message. Gives how many were lost, and why the last of them was.
    pub fn send(&mut self, lines: &[u8]) -> (u64, io::Result<()>) {
        let (mut lost, mut result) = (0, Ok(()));
        self.message.clear();
        // Days of one digit have a space before them. Writing to a Vec cannot fail.
        let now = Zoned::now().strftime("%b %e %H:%M:%S").to_string();
        let _ = write!(self.message, "<{PRIORITY}>{now} {} corelane: ", self.host);
        let header = self.message.len();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.message.truncate(header);
            self.message.extend_from_slice(line);
            if let Err(error) = self.socket.send_to(&self.message, &self.path) {
                (lost, result) = (lost + 1, Err(error));
            }
        }
        (lost, result)
    }
}
