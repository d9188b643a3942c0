use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::config::{Machine, from_text};
use crate::shard::{Command, Notice};

const SERVERS: usize = 3;

fn plan() -> Plan {
    let text = r#"
        [[listener]]
        address = "127.0.0.1:0"
        [[upstream]]
        name = "app"
        servers = ["127.0.0.1:1", "127.0.0.1:2", { address = "127.0.0.1:3", state = "drain" }]
        [[route]]
        upstream = "app"
    "#;
    let machine = Machine { cpus: vec![0], cpu_quota: None };
    from_text(text, "test", &machine).expect("accepted").plan
}

#[allow(clippy::disallowed_methods, reason = "any moment will do")]
fn start() -> Instant {
    Instant::now()
}

fn place(server: usize) -> Place {
    Place { upstream: 0, server }
}

fn ejection(seconds: u64) -> Ejection {
    let length = Duration::from_secs(seconds);
    Ejection { left: length, length, on_trial: false }
}

fn found(server: usize, ejection: Option<Ejection>) -> Finding {
    Finding { place: place(server), ejection, reason: "a reason" }
}

#[test]
fn a_change_is_announced_once() {
    let mut board = Board::new(&plan(), 2);
    let now = start();
    let finding = found(1, Some(ejection(10)));
    let change = board.found(&finding, now).expect("a change");
    assert_eq!((change.upstream, change.server), ("app", "127.0.0.1:2"));
    assert_eq!((change.old, change.new, change.reason), (Status::Up, Status::Ejected, "a reason"));
    // The other shard's finding of the same, and a trial that fails.
    assert_eq!(board.found(&finding, now), None);
    assert_eq!(board.found(&found(1, Some(ejection(20))), now), None);
    let returned = found(1, None);
    assert_eq!(board.found(&returned, now).map(|change| change.new), Some(Status::Up));
}

#[test]
fn a_state_set_by_hand_hides_what_requests_tell() {
    let mut board = Board::new(&plan(), 1);
    assert_eq!(board.found(&found(2, Some(ejection(10))), start()), None, "it is draining");
    let change = board.set_state(place(2), ServerState::Up).expect("a change");
    assert_eq!((change.old, change.new), (Status::Drain, Status::Ejected));
    assert_eq!(board.set_state(place(2), ServerState::Up), None);
    assert_eq!(board.set_state(place(9), ServerState::Down), None, "no such server");
}

#[test]
fn what_is_left_of_an_ejection_is_told() {
    let mut board = Board::new(&plan(), 1);
    let now = start();
    board.found(&found(0, Some(ejection(10))), now);
    let batch = board.next_batch(0, now + Duration::from_secs(4)).expect("a message");
    let [(told, Standing { ejection: Some(ejection), .. })] = &batch[..] else {
        panic!("{batch:?}")
    };
    assert_eq!((*told, ejection.left), (place(0), Duration::from_secs(6)));
    assert_eq!(ejection.length, Duration::from_secs(10));
}

/// A shard as far as this exchange goes, and the queues between it and the board.
#[derive(Default)]
struct Shard {
    known: [Option<Ejection>; SERVERS],
    outbox: Outbox<Place>,
    to_board: VecDeque<Notice>,
    to_shard: VecDeque<Command>,
}

impl Shard {
    fn finds(&mut self, server: usize, ejection: Option<Ejection>) {
        self.known[server] = ejection;
        self.outbox.note(place(server));
        self.tell();
    }

    fn tell(&mut self) {
        if let Some(places) = self.outbox.next_message() {
            let finding = |place: Place| found(place.server, self.known[place.server]);
            self.to_board.push_back(Notice::Findings(places.into_iter().map(finding).collect()));
        }
    }

    fn hear(&mut self) {
        match self.to_shard.pop_front() {
            Some(Command::Standings(standings)) => {
                for (place, standing) in standings {
                    if !self.outbox.is_pending(place) {
                        self.known[place.server] = standing.ejection;
                    }
                }
                self.to_board.push_back(Notice::Applied);
            }
            Some(Command::FindingsTaken) => {
                self.outbox.delivered();
                self.tell();
            }
            _ => {}
        }
    }
}

fn board_hears(board: &mut Board, shards: &mut [Shard], from: usize, now: Instant) {
    match shards[from].to_board.pop_front() {
        Some(Notice::Findings(findings)) => {
            for finding in findings {
                board.found(&finding, now);
            }
            shards[from].to_shard.push_back(Command::FindingsTaken);
        }
        Some(Notice::Applied) => board.applied(from),
        None => return,
    }
    for (number, shard) in shards.iter_mut().enumerate() {
        if let Some(standings) = board.next_batch(number, now) {
            shard.to_shard.push_back(Command::Standings(standings));
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Finds { shard: usize, server: usize, ejected: Option<u64> },
    ShardHears(usize),
    BoardHears(usize),
}

fn step(shards: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..shards, 0..SERVERS, prop::option::of(1u64..60))
            .prop_map(|(shard, server, ejected)| Step::Finds { shard, server, ejected }),
        (0..shards).prop_map(Step::ShardHears),
        (0..shards).prop_map(Step::BoardHears),
    ]
}

proptest! {
    /// However findings and messages cross, no queue ever holds more than one message of each
    /// kind, and when all are delivered, all shards know the same.
    #[test]
    fn shards_agree_in_the_end(steps in prop::collection::vec(step(3), 0..200)) {
        let now = start();
        let mut board = Board::new(&plan(), 3);
        let mut shards: Vec<Shard> = (0..3).map(|_| Shard::default()).collect();
        for step in steps {
            match step {
                Step::Finds { shard, server, ejected } => {
                    shards[shard].finds(server, ejected.map(ejection));
                }
                Step::ShardHears(shard) => shards[shard].hear(),
                Step::BoardHears(shard) => board_hears(&mut board, &mut shards, shard, now),
            }
            for shard in &shards {
                prop_assert!(shard.to_board.len() <= 2 && shard.to_shard.len() <= 2);
            }
        }
        let mut rounds = 0;
        while shards.iter().any(|shard| !shard.to_board.is_empty() || !shard.to_shard.is_empty()) {
            for shard in 0..3 {
                shards[shard].hear();
                board_hears(&mut board, &mut shards, shard, now);
            }
            rounds += 1;
            prop_assert!(rounds < 100, "messages without end");
        }
        let known = shards[0].known;
        prop_assert!(shards.iter().all(|shard| shard.known == known));
    }
}
