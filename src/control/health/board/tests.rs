use std::collections::VecDeque;
use std::sync::Arc;

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
        health = { rise = 2, fall = 3 }
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

/// The number of a server, by its place in the file.
fn id(server: usize) -> ServerId {
    ServerId(server as u32)
}

fn ejection(seconds: u64) -> Ejection {
    let length = Duration::from_secs(seconds);
    Ejection { left: length, length, on_trial: false }
}

fn found(server: usize, ejection: Option<Ejection>) -> Finding {
    Finding { server: id(server), ejection, reason: "a reason" }
}

#[test]
fn a_change_is_announced_once() {
    let mut board = Board::new(&plan(), 2);
    let now = start();
    let finding = found(1, Some(ejection(10)));
    let change = board.found(&finding, now).expect("a change");
    assert_eq!((change.upstream, change.server), ("app", "127.0.0.1:2"));
    assert_eq!((change.old, change.new), (Status::Up, Status::Ejected));
    assert_eq!(change.reason, "a reason");
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
    let change = board.set_state(id(2), ServerState::Up).expect("a change");
    assert_eq!((change.old, change.new), (Status::Drain, Status::Ejected));
    assert_eq!(board.set_state(id(2), ServerState::Up), None);
    assert_eq!(board.set_state(id(9), ServerState::Down), None, "no such server");
}

/// A server without a weight keeps its sessions and gets nothing new, whatever its state; the state
/// is not forgotten.
#[test]
fn no_weight_is_a_drain_until_there_is_one() {
    let mut board = Board::new(&plan(), 1);
    let now = start();
    let told = |board: &mut Board| {
        let standing = standing(board, now).expect("news");
        (standing.state, standing.weight)
    };
    let status = |change: Option<Change<'_>>| change.map(|change| (change.old, change.new));
    assert_eq!(status(board.set_weight(id(0), 5)), None);
    assert!(!board.is_known(id(0)));
    assert_eq!(told(&mut board), (ServerState::Up, 5));
    assert!(board.is_known(id(0)));
    assert_eq!(status(board.set_weight(id(0), 0)), Some((Status::Up, Status::Drain)));
    assert_eq!(told(&mut board), (ServerState::Drain, 1));
    let view = board.views(now).remove(&id(0)).expect("a server");
    assert_eq!((view.state, view.weight, view.status), (ServerState::Up, 0, Status::Drain));
    assert_eq!(
        status(board.set_state(id(0), ServerState::Down)),
        Some((Status::Drain, Status::Down))
    );
    assert_eq!(told(&mut board), (ServerState::Down, 1));
    assert_eq!(
        status(board.set_state(id(0), ServerState::Up)),
        Some((Status::Down, Status::Drain))
    );
    assert_eq!(status(board.set_weight(id(0), 2)), Some((Status::Drain, Status::Up)));
    assert_eq!(told(&mut board), (ServerState::Up, 2));
}

#[test]
fn a_weight_set_by_hand_stays_until_the_plan_changes_its_mind() {
    let mut board = Board::new(&plan(), 1);
    let weight = |board: &Board| board.views(start())[&id(0)].weight;
    board.set_weight(id(0), 7);
    board.adopt(&plan());
    assert_eq!(weight(&board), 7);
    let mut heavier = plan();
    Arc::make_mut(&mut heavier.upstreams[0]).servers[0].weight = 3;
    board.adopt(&heavier);
    assert_eq!(weight(&board), 3);
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
    assert_eq!((*told, ejection.left), (id(0), Duration::from_secs(6)));
    assert_eq!(ejection.length, Duration::from_secs(10));
}

fn check(board: &mut Board, passes: &[bool], now: Instant) -> Vec<Status> {
    let outcome = |passes: bool| if passes { Ok(()) } else { Err("why".to_owned()) };
    let changes = passes
        .iter()
        .filter_map(|passes| board.checked(id(0), outcome(*passes), now).map(|change| change.new));
    changes.collect()
}

/// What shards are told of the first server.
fn standing(board: &mut Board, now: Instant) -> Option<Standing> {
    let batch = board.next_batch(0, now);
    board.applied(0);
    batch?.into_iter().find_map(|(told, standing)| (told == id(0)).then_some(standing))
}

#[test]
fn checks_take_a_server_out_and_bring_it_back() {
    let mut board = Board::new(&plan(), 1);
    let now = start();
    assert_eq!(check(&mut board, &[false, false, true, false, false], now), []);
    assert_eq!(standing(&mut board, now), None, "nothing to tell");
    let change = board.checked(id(0), Err("status 500".to_owned()), now).expect("a change");
    assert_eq!((change.old, change.new), (Status::Up, Status::Failing));
    assert_eq!(change.reason, "3 checks in a row failed, the last: status 500");
    assert!(!standing(&mut board, now).expect("a change to tell").checks_pass);
    assert_eq!(check(&mut board, &[true, false, true], now), []);
    assert_eq!(check(&mut board, &[true, true, true], now), [Status::Up]);
    assert!(standing(&mut board, now).expect("a change to tell").checks_pass);
}

#[test]
fn checks_end_the_waiting_of_an_ejection_once() {
    let mut board = Board::new(&plan(), 1);
    let now = start();
    let left = |board: &mut Board| Some(standing(board, now)?.ejection?.left);
    check(&mut board, &[true, true], now);
    board.found(&found(0, Some(ejection(10))), now);
    assert_eq!(left(&mut board), Some(Duration::from_secs(10)));
    // Successes from before the ejection say nothing.
    check(&mut board, &[true], now);
    assert_eq!(left(&mut board), None);
    assert_eq!(check(&mut board, &[true], now), [], "it is still ejected");
    assert_eq!(left(&mut board), Some(Duration::ZERO));
    // The trial fails: the next waiting is not ended by checks.
    board.found(&found(0, Some(Ejection { on_trial: true, ..ejection(10) })), now);
    board.found(&found(0, Some(ejection(20))), now);
    check(&mut board, &[true; 5], now);
    assert_eq!(left(&mut board), Some(Duration::from_secs(20)));
    // Another ejection is another matter.
    board.found(&found(0, None), now);
    board.found(&found(0, Some(ejection(10))), now);
    check(&mut board, &[true; 5], now);
    assert_eq!(left(&mut board), Some(Duration::ZERO));
}

#[test]
fn a_server_whose_checks_succeed_again_is_no_longer_ejected() {
    let mut board = Board::new(&plan(), 1);
    let now = start();
    board.found(&found(0, Some(ejection(10))), now);
    check(&mut board, &[true, true], now);
    board.found(&found(0, Some(ejection(20))), now);
    assert_eq!(check(&mut board, &[false; 3], now), [Status::Failing]);
    assert_eq!(check(&mut board, &[true; 2], now), [Status::Up]);
    let standing = standing(&mut board, now).expect("a change to tell");
    assert_eq!((standing.checks_pass, standing.ejection), (true, None));
}

#[test]
fn only_servers_with_an_address_that_are_not_down_are_checked() {
    let mut board = Board::new(&plan(), 1);
    assert!(board.target(id(0)).is_some());
    assert!(board.target(id(2)).is_some(), "draining");
    board.set_state(id(0), ServerState::Down);
    assert_eq!(board.target(id(0)), None);
    assert_eq!(board.target(id(9)), None);
}

#[test]
fn what_a_new_plan_changes_is_announced() {
    let mut board = Board::new(&plan(), 1);
    let now = start();
    board.found(&found(1, Some(ejection(10))), now);
    check(&mut board, &[false; 3], now);
    let changes = |board: &mut Board, plan: &Plan| -> Vec<(String, Status, Status)> {
        let changes = board.adopt(plan).into_iter();
        changes.map(|change| (change.server.to_owned(), change.old, change.new)).collect()
    };
    assert_eq!(changes(&mut board, &plan()), []);
    let mut next = plan();
    let upstream = Arc::make_mut(&mut next.upstreams[0]);
    upstream.check = None;
    upstream.servers[1].state = ServerState::Down;
    upstream.servers[2].state = ServerState::Up;
    assert_eq!(
        changes(&mut board, &next),
        [
            ("127.0.0.1:1".to_owned(), Status::Failing, Status::Up),
            ("127.0.0.1:2".to_owned(), Status::Ejected, Status::Down),
            ("127.0.0.1:3".to_owned(), Status::Drain, Status::Up),
        ]
    );
    assert_eq!(changes(&mut board, &next), []);
}

/// A shard as far as this exchange goes, and the queues between it and the board.
#[derive(Default)]
struct Shard {
    known: [Option<Ejection>; SERVERS],
    outbox: Outbox<ServerId>,
    to_board: VecDeque<Notice>,
    to_shard: VecDeque<Command>,
}

impl Shard {
    fn finds(&mut self, server: usize, ejection: Option<Ejection>) {
        self.known[server] = ejection;
        self.outbox.note(id(server));
        self.tell();
    }

    fn tell(&mut self) {
        if let Some(ids) = self.outbox.next_message() {
            let finding = |ServerId(id)| found(id as usize, self.known[id as usize]);
            self.to_board.push_back(Notice::Findings(ids.into_iter().map(finding).collect()));
        }
    }

    fn hear(&mut self) {
        match self.to_shard.pop_front() {
            Some(Command::Standings(standings)) => {
                for (id, standing) in standings {
                    if !self.outbox.is_pending(id) {
                        self.known[id.0 as usize] = standing.ejection;
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
