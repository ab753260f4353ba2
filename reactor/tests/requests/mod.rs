//! Walks over all transitions of the requests, beside a naive model of them.

mod model;
mod steps;

use std::task::Waker;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::reactor::ids::{Direction, SourceId};
use crate::reactor::requests::{Owner, Requests};
use model::{FEWEST_SLOTS, IDLE_ROUNDS, Walk};
use steps::Step;

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Arm),
        1 => any::<u8>().prop_map(Step::ArmOwn),
        2 => any::<u8>().prop_map(Step::Disarm),
        1 => (0_u8..10).prop_map(Step::Age),
        1 => Just(Step::Demote),
        1 => Just(Step::UndoDemotion),
        1 => (0_u8..20).prop_map(Step::Grow),
        2 => Just(Step::Move),
        1 => Just(Step::UndoMove),
        3 => any::<u8>().prop_map(Step::Leave),
        3 => Just(Step::PassTurn),
        1 => Just(Step::EndGrace),
        1 => any::<u64>().prop_map(Step::RetainLeft),
        2 => any::<u8>().prop_map(Step::AbandonPoll),
        1 => Just(Step::UndoAbandonment),
        4 => Just(Step::Start),
        1 => any::<u8>().prop_map(Step::Await),
        2 => any::<u8>().prop_map(Step::Fetch),
        2 => any::<u8>().prop_map(Step::Abandon),
        1 => any::<u64>().prop_map(|refused| Step::Flush { refused, room: u8::MAX }),
        2 => (any::<u64>(), 0_u8..6).prop_map(|(refused, room)| Step::Flush { refused: refused & 1, room }),
        2 => Just(Step::Flush { refused: 0, room: u8::MAX }),
        1 => Just(Step::EndFlush),
        4 => (any::<u8>(), any::<i64>()).prop_map(|(which, result)| Step::Complete(which, result)),
        1 => any::<u8>().prop_map(Step::CompleteStale),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_walks_agree_with_the_model(
        capacity in prop_oneof![Just(1_usize), 17_usize..40],
        steps in proptest::collection::vec(any_step(), 0..300),
    ) {
        let mut walk = Walk::new(capacity);
        for step in &steps {
            walk.step(step);
            walk.check();
        }
        walk.finish();
    }
}

/// Takes every path that continues `path` by `depth` steps.
fn enumerate(alphabet: &[Step], path: &mut Vec<Step>, depth: usize) -> usize {
    if depth == 0 {
        let mut walk = Walk::new(FEWEST_SLOTS);
        path.iter().for_each(|step| walk.step(step));
        walk.check();
        walk.finish();
        return 1;
    }
    let mut paths = 0;
    for step in alphabet {
        path.push(step.clone());
        paths += enumerate(alphabet, path, depth - 1);
        path.pop();
    }
    paths
}

/// One of each kind where the choice makes a difference: the oldest, the youngest.
fn alphabet() -> Vec<Step> {
    vec![
        Step::Arm(0),
        Step::ArmOwn(0),
        Step::Disarm(0),
        Step::Start,
        Step::Await(0),
        Step::Fetch(0),
        Step::Abandon(0),
        Step::Abandon(1),
        Step::Flush { refused: 0, room: u8::MAX },
        Step::Flush { refused: 1, room: u8::MAX },
        Step::Flush { refused: 0, room: 1 },
        Step::Complete(0, 1),
        Step::Complete(1, -5),
        Step::CompleteStale(0),
    ]
}

#[test]
fn all_short_walks_agree_with_the_model() {
    let paths: usize = (0..=4).map(|depth| enumerate(&alphabet(), &mut Vec::new(), depth)).sum();
    assert_eq!(paths, (0..=4).map(|depth| 14_usize.pow(depth)).sum::<usize>());
}

#[test]
fn all_short_walks_from_full_slots_agree_with_the_model() {
    let mut full = vec![Step::Arm(0); 12];
    full.extend([Step::Flush { refused: 0, room: u8::MAX }, Step::EndFlush, Step::ArmOwn(0), Step::ArmOwn(1)]);
    full.extend(vec![Step::Start; 5]);
    enumerate(&alphabet(), &mut full, 4);
}

#[test]
fn all_short_walks_from_idle_polls_agree_with_the_model() {
    let mut idle = vec![Step::Arm(0); 12];
    idle.extend([Step::Flush { refused: 0, room: u8::MAX }, Step::EndFlush, Step::ArmOwn(0), Step::ArmOwn(1)]);
    idle.extend([Step::Age(IDLE_ROUNDS as u8), Step::Demote]);
    let mut alphabet = alphabet();
    alphabet.extend([Step::Demote, Step::UndoDemotion]);
    enumerate(&alphabet, &mut idle, 4);
}

#[test]
fn all_short_walks_from_a_growth_agree_with_the_model() {
    let mut growing = vec![Step::Arm(0); 8];
    growing.extend([Step::Arm(1), Step::ArmOwn(0), Step::ArmOwn(1)]);
    growing.extend(vec![Step::Start; 5]);
    growing.extend([Step::Flush { refused: 0, room: u8::MAX }, Step::EndFlush, Step::Arm(0), Step::Start]);
    growing.extend([Step::Grow(16), Step::Move]);
    let mut alphabet = alphabet();
    alphabet.extend([Step::Grow(16), Step::Move, Step::UndoMove]);
    enumerate(&alphabet, &mut growing, 4);
}

#[test]
fn all_short_walks_from_polls_that_were_left_agree_with_the_model() {
    let mut left = vec![Step::Arm(0); 8];
    left.extend([Step::Arm(1), Step::Flush { refused: 0, room: u8::MAX }, Step::EndFlush, Step::Arm(1)]);
    left.extend([Step::Leave(0), Step::Leave(9), Step::PassTurn]);
    let alphabet = [
        Step::Leave(0),
        Step::Leave(9),
        Step::PassTurn,
        Step::EndGrace,
        Step::RetainLeft(1),
        Step::AbandonPoll(0),
        Step::AbandonPoll(9),
        Step::UndoAbandonment,
        Step::Disarm(0),
        Step::Flush { refused: 0, room: u8::MAX },
        Step::Complete(0, 0),
    ];
    enumerate(&alphabet, &mut left, 4);
}

#[test]
fn operations_leave_the_backlog_in_the_order_of_their_arrival() {
    let mut requests = Requests::new(FEWEST_SLOTS);
    let ids: Vec<_> = (0..100).map(|number| requests.start(number, Waker::noop().clone())).collect();
    let mut order = Vec::new();
    {
        while let Some((key, owner)) = requests.slots.next_queued() {
            let Owner::Operation(id) = owner else { panic!("no poll was armed") };
            order.push(*requests.operations.payload_mut(id));
            requests.slots.accepted(key);
            requests.complete(key, 0);
        }
    }
    assert!(order.iter().copied().eq(0..100));
    for (number, id) in ids.into_iter().enumerate() {
        assert_eq!(requests.operations.fetch(&id), Some((number, 0)));
    }
    assert_eq!((requests.slots.in_use(), requests.operations.orphans()), (0, 0));
}

#[test]
#[should_panic = "a registration holds the key of its poll until the event"]
fn a_poll_that_is_over_cannot_be_disarmed() {
    let mut requests = Requests::<()>::new(1);
    let key = requests.slots.arm(SourceId(2), Direction::Read).unwrap();
    requests.slots.next_queued();
    requests.slots.accepted(key);
    requests.complete(key, 1);
    requests.disarm(key);
}
