//! The ring against real sockets, in every tier that the kernel has.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use glommio::{LocalExecutorBuilder, Placement};

use super::*;

const TIERS: [Tier; 3] = [Tier::V5_8, Tier::V5_19, Tier::V6_1];
const LONG: Duration = Duration::from_secs(10);

/// Runs `body` beside the pump of a ring with `entries` entries and `buffers` buffers.
fn with_ring<F>(
    tier: Tier,
    entries: u32,
    buffers: usize,
    body: impl FnOnce(Ring) -> F + Send + 'static,
) where
    F: Future<Output = ()> + 'static,
{
    let executor = LocalExecutorBuilder::new(Placement::Unbound).spawn(move || async move {
        let ring = Ring::new(tier, entries, buffers).expect("tests need io_uring");
        let finished = Rc::new(Cell::new(false));
        let (body, flag, handle) = (body(ring.clone()), finished.clone(), ring.clone());
        ring.spawn(async move {
            let timer = handle.timer();
            timer.within(LONG, body).await.expect("the test hangs");
            flag.set(true);
            handle.stop();
        });
        ring.pump().await.expect("the pump goes on");
        assert!(finished.get());
    });
    executor.expect("glommio starts").join().expect("the test passes");
}

fn in_every_tier<F>(body: impl Fn(Ring) -> F + Send + Copy + 'static)
where
    F: Future<Output = ()> + 'static,
{
    for tier in TIERS {
        with_ring(tier, 64, 64, body);
    }
}

/// Two ends of a TCP connection: ours, for the ring, and the test's.
fn pair() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    theirs.set_read_timeout(Some(LONG)).unwrap();
    (listener.accept().unwrap().0.into(), theirs)
}

async fn filled(ring: &Ring, bytes: &[u8]) -> Buf {
    let mut buf = ring.buf().await;
    assert_eq!(buf.extend(bytes), bytes.len());
    buf
}

#[test]
fn bytes_come_and_go() {
    in_every_tier(|ring| async move {
        let (ours, mut theirs) = pair();
        let socket = Socket::new(&ring, ours);
        let mut receiver = Receiver::new(&socket, true);
        for message in [&b"one"[..], b"two", b"three"] {
            theirs.write_all(message).unwrap();
            assert_eq!(receiver.recv().await.unwrap().unwrap().bytes(), message);
            let sent = socket.send_bytes(message.to_vec()).await;
            assert_eq!(sent.bytes.as_deref(), Some(message));
            assert_eq!((sent.accepted, sent.result.is_ok()), (message.len(), true));
            let mut echo = vec![0; message.len()];
            theirs.read_exact(&mut echo).unwrap();
            assert_eq!(echo, message);
        }
        drop(theirs);
        assert!(receiver.recv().await.unwrap().is_none());
    });
}

/// What splice will move should not be copied first, and a wrong guess costs nothing but a receive.
#[test]
fn of_bulk_a_receive_takes_little() {
    in_every_tier(|ring| async move {
        let (ours, mut theirs) = pair();
        let socket = Socket::new(&ring, ours);
        for many in [true, false] {
            let mut receiver = Receiver::new(&socket, many);
            let message: Vec<u8> = (0..3 * 4096).map(|i| (i % 251) as u8).collect();
            theirs.write_all(&message).unwrap();
            receiver.expect(Traffic::Bulk);
            let first = receiver.recv().await.unwrap().unwrap();
            assert_eq!(first.bytes(), &message[..4096]);
            receiver.expect(Traffic::Messages);
            let rest = receiver.recv().await.unwrap().unwrap();
            assert_eq!(rest.bytes(), &message[4096..]);
        }
    });
}

/// After several messages that came whole, what follows is received without being asked for; after
/// one that did not, it waits in the socket again. Nothing is lost on the way.
#[test]
fn small_messages_in_a_row_are_received_by_one_operation() {
    in_every_tier(|ring| async move {
        let (ours, mut theirs) = pair();
        let socket = Socket::new(&ring, ours);
        let mut receiver = Receiver::new(&socket, false);
        let timer = ring.timer();
        for round in 0..3 {
            for n in 0..40 {
                theirs.write_all(&[n; 3]).unwrap();
                assert_eq!(receiver.recv().await.unwrap().unwrap().bytes(), [n; 3]);
                receiver.came_whole();
            }
            theirs.write_all(b"unasked").unwrap();
            let multi = ring.tier() == Tier::V6_1;
            while multi && !receiver.has_news() {
                timer.sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(receiver.has_news(), multi, "round {round}");
            assert_eq!(receiver.came_in_part(), multi);
            let mut all: Vec<u8> = Vec::new();
            if multi {
                let taken = receiver.stop().await;
                all.extend(taken.iter().flat_map(|buf| buf.bytes()));
                assert_eq!(all, b"unasked");
            }
            theirs.write_all(b", rest").unwrap();
            assert!(!receiver.has_news(), "nobody has asked");
            while all.len() < 13 {
                all.extend_from_slice(receiver.recv().await.unwrap().unwrap().bytes());
            }
            assert_eq!(all, b"unasked, rest");
            assert!(!receiver.has_news(), "that was all");
        }
    });
}

#[test]
fn a_vectored_send_keeps_its_order() {
    in_every_tier(|ring| async move {
        let (ours, mut theirs) = pair();
        let socket = Socket::new(&ring, ours);
        let sent = socket.send_after(b"head ".to_vec(), filled(&ring, b"body").await).await;
        assert!(sent.result.is_ok());
        let mut all = [0; 9];
        theirs.read_exact(&mut all).unwrap();
        assert_eq!(&all, b"head body");
    });
}

/// A full socket takes a send in parts: every byte arrives once.
#[test]
fn short_writes_go_on_where_they_stopped() {
    in_every_tier(|ring| async move {
        let (ours, mut theirs) = pair();
        let socket = Socket::new(&ring, ours);
        socket2::SockRef::from(&socket).set_send_buffer_size(4096).unwrap();
        const ROUNDS: usize = 200;
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            all
        });
        let message: Vec<u8> = (0..BUF_CAPACITY).map(|i| (i % 251) as u8).collect();
        for _ in 0..ROUNDS {
            let head = message[..100].to_vec();
            let sent = socket.send_after(head, filled(&ring, &message[100..]).await).await;
            assert!(sent.result.is_ok());
            assert_eq!(sent.accepted, message.len());
        }
        socket.shutdown_write();
        let all = reader.join().unwrap();
        assert_eq!(all.len(), ROUNDS * message.len());
        assert!(all.chunks(message.len()).all(|chunk| chunk == message));
    });
}

/// The heart of memory safety: futures given up at any moment, while the kernel has their memory.
#[test]
fn dropped_operations_return_their_buffers() {
    in_every_tier(|ring| async move {
        let timer = ring.timer();
        for round in 0..50 {
            let (ours, mut theirs) = pair();
            let socket = Socket::new(&ring, ours);
            socket2::SockRef::from(&socket).set_send_buffer_size(4096).unwrap();
            let mut receiver = Receiver::new(&socket, round % 2 == 0);
            let _ = timer.within(Duration::from_micros(round), receiver.recv()).await;
            // More than the socket takes: the send stays under way until it is given up.
            for _ in 0..8 {
                let send = socket.send(filled(&ring, &vec![1; BUF_CAPACITY]).await, false);
                let _ = timer.within(Duration::from_micros(round * 10), send).await;
            }
            theirs.write_all(b"late").unwrap();
        }
        while ring.buffer_usage().1 > 0 {
            timer.sleep(Duration::from_millis(1)).await;
        }
    });
}

/// More operations than entries in the submission queue, and than in the completion queue.
#[test]
fn full_queues_lose_nothing() {
    for tier in TIERS {
        with_ring(tier, 16, 256, |ring| async move {
            let pairs: Vec<_> = (0..200).map(|_| pair()).collect();
            let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let sockets: Vec<_> = ours.into_iter().map(|fd| Socket::new(&ring, fd)).collect();
            let mut receivers: Vec<_> = sockets.iter().map(|s| Receiver::new(s, true)).collect();
            receivers.iter_mut().for_each(Receiver::arm);
            for mut stream in &theirs {
                stream.write_all(b"x").unwrap();
            }
            for receiver in &mut receivers {
                assert_eq!(receiver.recv().await.unwrap().unwrap().bytes(), b"x");
            }
        });
    }
}

/// ENOBUFS: with all buffers lent out receivers wait, without turning, and go on later.
#[test]
fn without_buffers_receivers_wait_and_then_go_on() {
    for tier in TIERS {
        with_ring(tier, 64, 8, |ring| async move {
            let (ours, mut theirs) = pair();
            let socket = Socket::new(&ring, ours);
            let mut receiver = Receiver::new(&socket, true);
            let timer = ring.timer();
            let mut lent = Vec::new();
            for byte in 0..20u8 {
                theirs.write_all(&[byte]).unwrap();
                match timer.within(Duration::from_millis(20), receiver.recv()).await {
                    Ok(received) => lent.push(received.unwrap().unwrap()),
                    Err(Elapsed) => break,
                }
            }
            assert!(!lent.is_empty() && lent.len() <= 8, "{} buffers", lent.len());
            let (_, turns_before) = ring.counts();
            let _ = timer.within(Duration::from_millis(100), receiver.recv()).await;
            let (_, turns) = ring.counts();
            assert!(turns - turns_before < 20, "{} turns while starved", turns - turns_before);
            let mut seen: Vec<u8> = lent.drain(..).flat_map(|buf| buf.bytes().to_vec()).collect();
            let written = seen.len() as u8 + 1;
            while seen.len() < usize::from(written) {
                seen.extend(receiver.recv().await.unwrap().unwrap().bytes());
            }
            assert_eq!(seen, (0..written).collect::<Vec<u8>>());
        });
    }
}

#[test]
fn what_a_stopped_receiver_left_is_in_the_socket() {
    in_every_tier(|ring| async move {
        let (ours, mut theirs) = pair();
        let socket = Socket::new(&ring, ours);
        let mut receiver = Receiver::new(&socket, true);
        theirs.write_all(b"first").unwrap();
        assert_eq!(receiver.recv().await.unwrap().unwrap().bytes(), b"first");
        receiver.arm();
        let taken: Vec<u8> =
            receiver.stop().await.iter().flat_map(|b| b.bytes().to_vec()).collect();
        assert_eq!(taken, b"");
        theirs.write_all(b"second").unwrap();
        socket.readable().await.unwrap();
        let mut peeked = [0; 16];
        let n =
            rustix::net::recv(&socket, &mut peeked[..], rustix::net::RecvFlags::PEEK).unwrap().0;
        assert_eq!(&peeked[..n], b"second");
        assert_eq!(receiver.recv().await.unwrap().unwrap().bytes(), b"second");
    });
}

#[test]
fn connect_succeeds_fails_and_gives_up() {
    in_every_tier(|ring| async move {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket2::SockAddr::from(listener.local_addr().unwrap());
        let new = || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            Socket::new(&ring, socket.unwrap().into())
        };
        new().connect(&address).await.unwrap();
        drop(listener);
        let refused = new().connect(&address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        // A full accept queue: the kernel drops the SYN, and nothing answers.
        let full =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        full.bind(&socket2::SockAddr::from("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()))
            .unwrap();
        full.listen(0).unwrap();
        let address = full.local_addr().unwrap();
        let timer = ring.timer();
        let mut waiting = Vec::new();
        let mut gave_up = false;
        for _ in 0..8 {
            let socket = new();
            let connected = timer.within(Duration::from_millis(50), socket.connect(&address)).await;
            gave_up |= connected.is_err();
            waiting.push(socket);
        }
        assert!(gave_up, "a queue of length 0 took 8 connections");
    });
}

#[test]
fn accepts_and_hands_over_what_waits_at_the_end() {
    in_every_tier(|ring| async move {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor = Acceptor::new(&ring, listener.into());
        let _first = TcpStream::connect(address).unwrap();
        poll_fn(|task| acceptor.poll_accept(task, true)).await.unwrap();
        let _waiting: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert_eq!(acceptor.finish().await.len(), 3);
        assert!(TcpStream::connect(address).is_err());
    });
}

#[test]
fn accepts_one_by_one_where_room_is_scarce() {
    in_every_tier(|ring| async move {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let queue = listener.try_clone().unwrap();
        let mut acceptor = Acceptor::new(&ring, listener.into());
        let _waiting: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        poll_fn(|task| acceptor.poll_accept(task, false)).await.unwrap();
        queue.set_nonblocking(true).unwrap();
        assert!(queue.accept().is_ok() && queue.accept().is_ok());
    });
}

/// A task that another task wakes runs at once: the pump does not wait in the kernel meanwhile.
#[test]
fn a_task_woken_by_a_task_runs_before_the_shard_waits() {
    in_every_tier(|ring| async move {
        const HOPS: u32 = 1000;
        let baton = Rc::new(Cell::new(0));
        let wakers: Rc<RefCell<[Option<std::task::Waker>; 2]>> = Rc::default();
        for side in 0..2u32 {
            let (baton, wakers) = (baton.clone(), wakers.clone());
            ring.spawn(poll_fn(move |context| {
                if baton.get() >= HOPS {
                    return Poll::Ready(());
                }
                if baton.get() % 2 == side {
                    baton.set(baton.get() + 1);
                }
                wakers.borrow_mut()[side as usize] = Some(context.waker().clone());
                if let Some(other) = wakers.borrow_mut()[1 - side as usize].take() {
                    other.wake();
                }
                Poll::Pending
            }));
        }
        // Without any I/O or timer due, only the wakes drive this; an hour's wait would hang it.
        let start = Instant::now();
        let done = baton.clone();
        poll_fn(move |context| {
            if done.get() >= HOPS {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        assert!(start.elapsed() < LONG / 2);
    });
}

#[test]
fn mail_wakes_a_waiting_shard() {
    in_every_tier(|ring| async move {
        let (sender, mut mailbox) = mailbox::<u32>().unwrap();
        let thread = std::thread::spawn(move || (0..100).for_each(|n| assert!(sender.send(n))));
        for expected in 0..100 {
            assert_eq!(mailbox.recv(&ring).await, Some(expected));
        }
        thread.join().unwrap();
        assert_eq!(mailbox.recv(&ring).await, None);
    });
}

#[test]
fn timers_fire_in_order_and_not_early() {
    in_every_tier(|ring| async move {
        let fired = Rc::new(RefCell::new(Vec::new()));
        for ms in [30u64, 10, 20] {
            let (fired, handle) = (fired.clone(), ring.clone());
            ring.spawn(async move {
                let begun = handle.now();
                handle.timer().sleep(Duration::from_millis(ms)).await;
                assert!(handle.now() - begun >= ms * 1_000_000);
                fired.borrow_mut().push(ms);
            });
        }
        ring.timer().sleep(Duration::from_millis(60)).await;
        assert_eq!(*fired.borrow(), [10, 20, 30]);
    });
}

#[test]
fn idle_waits_end_when_asked() {
    in_every_tier(|ring| async move {
        let (idle, busy) = (ring.timer(), ring.timer());
        let handle = ring.clone();
        ring.spawn(async move {
            handle.timer().sleep(Duration::from_millis(10)).await;
            handle.end_oldest_idle(LONG / 2, 9);
            handle.timer().sleep(Duration::from_millis(10)).await;
            handle.end_oldest_idle(LONG, 9);
        });
        let start = ring.now();
        assert!(idle.idle(LONG, |_| Poll::<()>::Pending).await.is_err());
        let waited = ring.now() - start;
        assert!(waited < LONG.as_nanos() as u64 / 2);
        assert!(waited >= 20_000_000, "the first call was not meant for it");
        assert!(busy.within(Duration::from_millis(20), std::future::ready(1)).await.is_ok());
    });
}

#[test]
fn spliced_bytes_are_counted_and_a_pipe_with_bytes_in_it_is_not_reused() {
    in_every_tier(|ring| async move {
        let (from, mut source) = pair();
        let (to, mut sink) = pair();
        let (from, to) = (Socket::new(&ring, from), Socket::new(&ring, to));
        let (_a, _b) = (from.nonblocking().unwrap(), to.nonblocking().unwrap());
        let pipes = Pipes::new(2, 1 << 20);
        let mut pipe = pipes.lend().unwrap();
        assert_eq!(pipe.fill(&from, 100).unwrap(), Spliced::NotReady);
        source.write_all(&[7; 1000]).unwrap();
        from.readable().await.unwrap();
        assert_eq!(pipe.fill(&from, 600).unwrap(), Spliced::Moved(600));
        assert_eq!(pipe.drain(&to, false).unwrap(), Spliced::Moved(600));
        let mut got = [0; 600];
        sink.read_exact(&mut got).unwrap();
        assert_eq!(got, [7; 600]);
        assert_eq!(pipe.fill(&from, 1000).unwrap(), Spliced::Moved(400));
        drop(pipe);
        assert_eq!(pipes.usage(), (0, 0), "bytes of one body must never reach another");
        let (clean, _second) = (pipes.lend().unwrap(), pipes.lend().unwrap());
        assert!(pipes.lend().is_none(), "two at most");
        drop(clean);
        assert_eq!(pipes.usage(), (2, 1));
    });
}
