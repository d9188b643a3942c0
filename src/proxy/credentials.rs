//! Whether a request brings the password that its route asks for (RFC 7617).
//!
//! To check a password takes tens of milliseconds: that is what bcrypt is for. So no shard does it;
//! a thread of the control side does, and tells the shard. Meanwhile the request waits, holding
//! nothing but its place.
//!
//! A shard remembers what was found to be right, since browsers send it with every request. It
//! keeps no password: only a keyed hash (HMAC-SHA-256, by a key that this shard has drawn and
//! nobody else knows) of the password file's digest, name and password together. Who reads the
//! memory of the process without its key learns nothing, and a file that has changed is another
//! file, so that nothing found in the old one counts any more. That a known password is answered
//! sooner than an unknown one tells only whoever has sent the right one already: what is wrong is
//! never remembered, and is looked up in a table by a hash that its sender cannot predict, so the
//! time that takes says nothing about what is near. There are at most two thousand entries, however
//! many try.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::task::{Poll, Waker};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Context;
use super::client::{Client, Gone};
use super::reply::Failure;
use crate::guard::{Passwords, client_bits};
use crate::http1::RequestHead;
use crate::plan::BasicAuthPlan;
use crate::ring::{Sender, mailbox};

/// Passwords that wait to be checked, for each shard: of all clients, and of one. Whoever guesses
/// fills up his own share, and leaves the rest to others.
pub const INQUIRIES_MAX: usize = 128;
const WAITING_OF_CLIENT_MAX: usize = 32;
/// How long a request waits for the verdict.
const PATIENCE: Duration = Duration::from_secs(10);
/// Entries of each of the two halves of what is remembered.
const HALF: usize = 1024;

type Fingerprint = [u8; 32];

/// A password to be checked, for the thread that does it.
pub struct Inquiry {
    passwords: Arc<Passwords>,
    /// `name:password`
    credentials: Vec<u8>,
    /// Who asks; see [`client_bits`].
    client: u128,
    /// Whether somebody still waits for it.
    wanted: Arc<AtomicBool>,
    number: u64,
    way_back: Sender<Verdict>,
}

impl Inquiry {
    /// Whose it is: they take turns.
    pub fn client(&self) -> u128 {
        self.client
    }

    /// Checks it, and tells the shard. Takes as long as the password's hash wants, and no time if
    /// all who asked have left.
    pub fn answer(self) {
        let wanted = self.wanted.load(Ordering::Relaxed);
        let right = wanted.then(|| self.passwords.admit(&self.credentials));
        // A shard that has ended has nobody left who waits.
        self.way_back.send(Verdict { number: self.number, right });
    }
}

/// What a check came to.
struct Verdict {
    number: u64,
    /// `None`: it was not made.
    right: Option<bool>,
}

/// What a shard knows of passwords.
pub struct Credentials {
    /// To the thread that checks.
    desk: SyncSender<Inquiry>,
    key: [u8; 32],
    known: RefCell<Known>,
    waiting: RefCell<Vec<Rc<Check>>>,
    /// Numbers inquiries.
    count: Cell<u64>,
    /// Opened with the first inquiry.
    way_back: RefCell<Option<Sender<Verdict>>>,
}

/// Fingerprints of what was right. When the younger half is full, the older one is forgotten, and
/// what is in use moves into the new younger one.
#[derive(Default)]
struct Known {
    young: HashSet<Fingerprint>,
    old: HashSet<Fingerprint>,
}

impl Known {
    fn has(&mut self, print: &Fingerprint) -> bool {
        if self.young.contains(print) {
            return true;
        }
        let has = self.old.contains(print);
        if has {
            self.add(*print);
        }
        has
    }

    fn add(&mut self, print: Fingerprint) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(print);
    }
}

/// A check under way. All requests that bring the same wait for the same one.
struct Check {
    print: Fingerprint,
    number: u64,
    /// Whose request was the first.
    client: u128,
    wanted: Arc<AtomicBool>,
    verdict: Cell<Option<Option<bool>>>,
    wakers: RefCell<Vec<Waker>>,
}

/// A request's place among those who wait for a check.
pub struct Waiting(Rc<Check>);

impl Drop for Waiting {
    fn drop(&mut self) {
        // The other one is the list's.
        if self.0.verdict.get().is_none() && Rc::strong_count(&self.0) == 2 {
            self.0.wanted.store(false, Ordering::Relaxed);
        }
    }
}

impl Check {
    /// `None`: everybody had left when it was to be made.
    async fn verdict(&self) -> Option<bool> {
        poll_fn(|context| match self.verdict.get() {
            Some(right) => Poll::Ready(right),
            None => {
                let mut wakers = self.wakers.borrow_mut();
                if !wakers.iter().any(|known| known.will_wake(context.waker())) {
                    wakers.push(context.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }
}

impl Credentials {
    /// Nothing is known yet; `desk` leads to whoever checks.
    pub fn new(desk: SyncSender<Inquiry>) -> Credentials {
        let hasher = RandomState::new();
        // Keyed by the operating system; each number gives 8 bytes that nobody else can tell.
        let mut key = [0; 32];
        for (number, bytes) in (0_u64..).zip(key.chunks_mut(8)) {
            bytes.copy_from_slice(&hasher.hash_one(number).to_ne_bytes());
        }
        Credentials {
            desk,
            key,
            known: RefCell::default(),
            waiting: RefCell::default(),
            count: Cell::new(0),
            way_back: RefCell::default(),
        }
    }

    fn print(&self, passwords: &Passwords, credentials: &[u8]) -> Option<Fingerprint> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        let mac = mac.chain_update(passwords.digest()).chain_update(credentials);
        Some(mac.finalize().into_bytes().into())
    }

    /// Has `credentials` checked, together with whoever wants the same; `None`: there are too many
    /// already.
    fn inquire(
        &self,
        context: &Rc<Context>,
        passwords: &Arc<Passwords>,
        credentials: Vec<u8>,
        print: Fingerprint,
        client: u128,
    ) -> Option<Waiting> {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(same) = waiting.iter().find(|check| check.print == print) {
            same.wanted.store(true, Ordering::Relaxed);
            return Some(Waiting(same.clone()));
        }
        let of_client = waiting.iter().filter(|check| check.client == client).count();
        if waiting.len() >= INQUIRIES_MAX || of_client >= WAITING_OF_CLIENT_MAX {
            return None;
        }
        let way_back = self.way_back(context)?;
        let number = self.count.get() + 1;
        let (passwords, wanted) = (passwords.clone(), Arc::new(AtomicBool::new(true)));
        let asked = wanted.clone();
        let inquiry = Inquiry { passwords, credentials, client, wanted: asked, number, way_back };
        self.desk.try_send(inquiry).ok()?;
        self.count.set(number);
        let (verdict, wakers) = (Cell::new(None), RefCell::default());
        let check = Rc::new(Check { print, number, client, wanted, verdict, wakers });
        waiting.push(check.clone());
        Some(Waiting(check))
    }

    /// Opens it the first time, and listens from then on; `None`: descriptors are short.
    fn way_back(&self, context: &Rc<Context>) -> Option<Sender<Verdict>> {
        if let Some(open) = &*self.way_back.borrow() {
            return Some(open.clone());
        }
        let (sender, mut verdicts) = mailbox().ok()?;
        let listening = context.clone();
        context.ring.spawn(async move {
            while let Some(verdict) = verdicts.recv(&listening.ring).await {
                listening.credentials.learn(verdict);
            }
        });
        self.way_back.replace(Some(sender.clone()));
        Some(sender)
    }

    fn learn(&self, Verdict { number, right }: Verdict) {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.iter().position(|check| check.number == number);
        let Some(check) = place.map(|place| waiting.swap_remove(place)) else { return };
        drop(waiting);
        if right == Some(true) {
            self.known.borrow_mut().add(check.print);
        }
        check.verdict.set(Some(right));
        check.wakers.take().into_iter().for_each(Waker::wake);
    }
}

/// Whether a request may go on; `Some`: once this was checked, see [`settle`].
///
/// # Errors
/// The answer to it.
pub fn ask(
    client: &Client,
    plan: &BasicAuthPlan,
    head: &RequestHead<'_, '_>,
) -> Result<Option<Waiting>, Failure> {
    let context = &*client.context;
    let store = &context.credentials;
    let refused = || Failure::Unauthorized(plan.challenge.clone());
    let credentials = credentials(head).ok_or_else(refused)?;
    let print = store.print(&plan.passwords, &credentials).ok_or(Failure::Unverified)?;
    if store.known.borrow_mut().has(&print) {
        return Ok(None);
    }
    let from = client_bits(client.ip());
    let check = store.inquire(context, &plan.passwords, credentials, print, from);
    check.map(Some).ok_or(Failure::Unverified)
}

/// Waits for the verdict; `None`: there will be none.
///
/// # Errors
/// [`Gone`]: the client has left meanwhile.
pub async fn settle(client: &Client, waiting: &Waiting) -> Result<Option<bool>, Gone> {
    let timer = client.context.ring.timer();
    let verdict = client.watched(timer.within(PATIENCE, waiting.0.verdict())).await?;
    Ok(verdict.ok().flatten())
}

/// `name:password`. Of several, servers might take one and we another.
fn credentials(head: &RequestHead<'_, '_>) -> Option<Vec<u8>> {
    let mut fields =
        head.fields.iter().filter(|field| field.name.eq_ignore_ascii_case("authorization"));
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let (scheme, encoded) = field.value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    STANDARD.decode(encoded.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_used_stays() {
        let print = |n: usize| {
            let mut print = [0; 32];
            print[..8].copy_from_slice(&n.to_ne_bytes());
            print
        };
        let mut known = Known::default();
        for n in 0..20 * HALF {
            known.add(print(n));
            assert!(known.young.len() + known.old.len() <= 2 * HALF);
            // One that somebody uses all the time, though others come and go.
            assert!(known.has(&print(0)), "{n}");
        }
        assert!(!known.has(&print(1)));
    }

    #[test]
    fn fingerprints_differ_by_file_and_by_shard() {
        let (desk, _inquiries) = std::sync::mpsc::sync_channel(1);
        let [one, other] = [(); 2].map(|()| Credentials::new(desk.clone()));
        let [old, new] = ["", "# changed"].map(|text| Passwords::parse(text).unwrap());
        let print = |credentials: &Credentials, file| credentials.print(file, b"ann:secret");
        assert_eq!(print(&one, &old), print(&one, &old));
        assert_ne!(print(&one, &old), print(&one, &new));
        assert_ne!(print(&one, &old), print(&other, &old));
        assert_ne!(print(&one, &old), one.print(&old, b"ann:secre"));
    }
}
