//! From socket to socket through a pipe (splice(2)): what bodies and tunnels have in common. They
//! wait each in its own way, so nothing here waits.

use std::io;

use super::Context;
use crate::ring::{Pipe, Socket, Spliced};
use crate::transport::Stream;

/// One way through a pipe on loan. Both sockets are non-blocking while it lives, which is what `G`
/// guards.
pub struct Splicing<'a, G> {
    from: &'a Socket,
    to: &'a Socket,
    pipe: Pipe,
    /// The last fill found nothing.
    waited: bool,
    _nonblocking: G,
}

/// Why a fill moved nothing.
#[derive(Debug)]
pub enum Stop {
    /// Nothing was asked for.
    Enough,
    /// There is nothing until the source can be read.
    NotReady,
    /// The source has ended.
    End,
    /// These sockets cannot splice, or not what comes next.
    Unfit,
    /// The source is broken.
    Broken,
}

/// Begins to splice; `None` where no pipe is to be had, and bytes are copied instead.
pub fn begin<'a>(
    context: &Context,
    from: &'a Stream,
    to: &'a Stream,
) -> Option<Splicing<'a, impl Sized + use<'a>>> {
    let (from, to) = (&from.socket, &to.socket);
    let pipe = context.pipes.lend()?;
    let guards = (from.nonblocking().ok()?, to.nonblocking().ok()?);
    Some(Splicing { from, to, pipe, waited: false, _nonblocking: guards })
}

impl<G> Splicing<'_, G> {
    /// Moves up to `most` bytes from the source into the pipe, which is then to be drained before
    /// the next fill, and says how many.
    ///
    /// After [`Stop::NotReady`], the next fill comes when the source can be read. If splice finds
    /// nothing then either, it has stopped at urgent data (tcp(7)), where a receive goes on; to
    /// wait again would never end.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn fill(&mut self, most: u64) -> Result<usize, Stop> {
        if most == 0 {
            return Err(Stop::Enough);
        }
        let waited = std::mem::take(&mut self.waited);
        match self.pipe.fill(self.from, most) {
            Ok(Spliced::Moved(n)) => Ok(n),
            Ok(Spliced::NotReady) if waited => Err(Stop::Unfit),
            Ok(Spliced::NotReady) => {
                self.waited = true;
                Err(Stop::NotReady)
            }
            Ok(Spliced::End) => Err(Stop::End),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(Stop::Unfit),
            Err(_) => Err(Stop::Broken),
        }
    }

    /// Moves what is in the pipe on to the receiver; `false`: it is full, and some is left until
    /// it can be written. `more`: other bytes follow at once.
    ///
    /// # Errors
    /// Those of splice(2); the receiver takes no more.
    pub fn drain(&mut self, more: bool) -> io::Result<bool> {
        while self.pipe.inside() > 0 {
            match self.pipe.drain(self.to, more)? {
                Spliced::Moved(_) => {}
                Spliced::NotReady => return Ok(false),
                Spliced::End => return Err(io::ErrorKind::WriteZero.into()),
            }
        }
        Ok(true)
    }
}
