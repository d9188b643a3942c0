use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn new() -> Passive {
    Passive::new(Duration::ZERO)
}

fn fail(passive: &mut Passive, ms: u64, kind: FailureKind, attempt: Attempt) -> bool {
    passive.failed(at(ms), kind, attempt, &PassivePlan::default())
}

fn refused(ms: u64) -> Passive {
    let mut passive = new();
    assert!(fail(&mut passive, ms, FailureKind::Refused, Attempt::Ordinary));
    passive
}

#[test]
fn refused_is_ejected_at_once_for_ten_seconds() {
    let passive = refused(500);
    assert!(!passive.may_try(at(10_499)));
    assert!(passive.may_try(at(10_500)));
    assert!(passive.is_ejected(), "until a trial succeeds");
}

#[test]
fn a_refusal_may_be_a_failure_like_others() {
    let plan = PassivePlan { eject_refused: false, failures: 2, ..PassivePlan::default() };
    let mut passive = new();
    assert!(!passive.failed(at(0), FailureKind::Refused, Attempt::Ordinary, &plan));
    assert!(passive.failed(at(1), FailureKind::Refused, Attempt::Ordinary, &plan));
}

#[test]
fn three_failures_in_ten_seconds() {
    let mut passive = new();
    let mut other = |ms| fail(&mut passive, ms, FailureKind::Other, Attempt::Ordinary);
    assert!(!other(0));
    assert!(!other(9_000));
    // The first has left the window; the second and third have not.
    assert!(!other(10_001));
    assert!(other(19_000));
}

#[test]
fn successes_between_do_not_excuse_failures() {
    let mut passive = new();
    for ms in [0, 1_000, 2_000] {
        assert!(!passive.succeeded(at(ms), Attempt::Ordinary));
        fail(&mut passive, ms, FailureKind::Other, Attempt::Ordinary);
    }
    assert!(passive.is_ejected());
}

#[test]
fn one_trial_at_a_time() {
    let mut passive = refused(0);
    assert_eq!(passive.begin(at(10_000)), Attempt::Trial);
    assert!(!passive.may_try(at(10_001)));
    assert_eq!(passive.begin(at(10_001)), Attempt::Early, "all are down: beside the trial");
    assert!(!passive.abandon(Attempt::Early));
    assert!(passive.abandon(Attempt::Trial));
    assert!(passive.may_try(at(10_002)));
    assert_eq!(passive.begin(at(10_002)), Attempt::Trial);
    assert!(passive.succeeded(at(10_010), Attempt::Trial));
    assert!(!passive.is_ejected());
    assert_eq!(passive.begin(at(10_010)), Attempt::Ordinary);
}

#[test]
fn shards_begin_their_trials_one_after_the_other() {
    let mut passive = Passive::new(at(100));
    fail(&mut passive, 0, FailureKind::Refused, Attempt::Ordinary);
    assert!(!passive.may_try(at(10_099)));
    assert!(passive.may_try(at(10_100)));
}

#[test]
fn failed_trials_double_the_time_up_to_a_minute() {
    let mut passive = refused(0);
    let mut now = 0;
    for length in [10_000, 20_000, 40_000, 60_000, 60_000] {
        assert!(!passive.may_try(at(now + length - 1)), "{length}");
        now += length;
        assert_eq!(passive.begin(at(now)), Attempt::Trial);
        assert!(fail(&mut passive, now, FailureKind::Other, Attempt::Trial));
    }
}

#[test]
fn a_server_that_fails_soon_after_its_return_stays_away_for_longer() {
    let mut passive = refused(0);
    passive.begin(at(10_000));
    passive.succeeded(at(10_000), Attempt::Trial);
    fail(&mut passive, 19_000, FailureKind::Refused, Attempt::Ordinary);
    assert_eq!(passive.ejection(at(19_000)).unwrap().left, at(20_000));
    passive.begin(at(39_000));
    passive.succeeded(at(39_000), Attempt::Trial);
    fail(&mut passive, 59_001, FailureKind::Refused, Attempt::Ordinary);
    let left = passive.ejection(at(59_001)).unwrap().left;
    assert_eq!(left, at(10_000), "it was well for longer than it had been away");
}

#[test]
fn requests_in_flight_do_not_count_while_ejected() {
    let mut passive = refused(0);
    for attempt in [Attempt::Ordinary, Attempt::Early] {
        assert!(!fail(&mut passive, 5_000, FailureKind::Refused, attempt));
    }
    assert!(passive.may_try(at(10_000)), "they neither extend nor double the time");
    assert!(!passive.succeeded(at(5_000), Attempt::Ordinary), "nor does a late success end it");
}

#[test]
fn an_early_success_counts() {
    let mut passive = refused(0);
    assert_eq!(passive.begin(at(1_000)), Attempt::Early);
    assert!(passive.succeeded(at(1_001), Attempt::Early));
    assert!(!passive.is_ejected());
}

#[test]
fn a_lost_trial_does_not_keep_the_server_down() {
    let mut passive = refused(0);
    passive.begin(at(10_000));
    assert!(!passive.may_try(at(69_999)));
    assert!(passive.may_try(at(70_000)));
}

#[test]
fn what_another_shard_found_holds_here() {
    let [mut there, mut here] = [refused(0), new()];
    // Each shard counts time from a moment of its own.
    here.apply(there.ejection(at(4_000)), at(1_000_000));
    assert!(!here.may_try(at(1_005_999)));
    assert!(here.may_try(at(1_006_000)));
    there.begin(at(10_000));
    here.apply(there.ejection(at(10_000)), at(1_006_000));
    assert!(!here.may_try(at(1_006_001)), "the trial is on there");
    assert_eq!(here.begin(at(1_006_001)), Attempt::Early);
    fail(&mut there, 11_000, FailureKind::Other, Attempt::Trial);
    here.apply(there.ejection(at(11_000)), at(1_007_000));
    assert!(!here.may_try(at(1_026_999)));
    assert_eq!(here.begin(at(1_027_000)), Attempt::Trial);
    here.apply(here.ejection(at(1_027_000)), at(1_027_001));
    assert!(here.abandon(Attempt::Trial), "an echo does not make it another's");
    here.apply(None, at(1_030_000));
    assert!(!here.is_ejected());
}

#[derive(Clone, Debug)]
enum Step {
    Fail(FailureKind),
    Begin,
    Succeed,
    Abandon,
    Hear { left: u64, length: u64, on_trial: bool },
    HearUp,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Fail(FailureKind::Other)),
        Just(Step::Fail(FailureKind::Refused)),
        Just(Step::Begin),
        Just(Step::Succeed),
        Just(Step::Abandon),
        (0u64..60_000, 10_000u64..60_000, any::<bool>())
            .prop_map(|(left, length, on_trial)| Step::Hear { left, length, on_trial }),
        Just(Step::HearUp),
    ]
}

proptest! {
    /// Whatever happens, an ejected server may be tried again within two minutes, its ejections
    /// are as long as the plan allows, and there are never two trials of one shard.
    #[test]
    fn never_ejected_for_ever(steps in prop::collection::vec((step(), 0u64..30_000), 0..50)) {
        let mut passive = new();
        let mut now = 0;
        let mut attempt = Attempt::Ordinary;
        for (step, ms) in steps {
            now += ms;
            match step {
                Step::Fail(kind) => {
                    fail(&mut passive, now, kind, attempt);
                    attempt = Attempt::Ordinary;
                }
                Step::Begin => attempt = passive.begin(at(now)),
                Step::Succeed => {
                    passive.succeeded(at(now), attempt);
                    attempt = Attempt::Ordinary;
                }
                Step::Abandon => {
                    passive.abandon(attempt);
                    attempt = Attempt::Ordinary;
                }
                Step::Hear { left, length, on_trial } => {
                    let (left, length) = (at(left.min(length)), at(length));
                    passive.apply(Some(Ejection { left, length, on_trial }), at(now));
                }
                Step::HearUp => passive.apply(None, at(now)),
            }
            prop_assert!(passive.is_ejected() || passive.may_try(at(now)));
            if let Some(Ejection { left, length, .. }) = passive.ejection(at(now)) {
                prop_assert!(left <= length && length >= at(10_000) && length <= at(60_000));
            }
        }
        prop_assert!(passive.may_try(at(now + 120_000)));
    }
}
