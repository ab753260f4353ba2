//! Walks over all moves of a descriptor's readiness. A model beside it remembers everything that
//! has happened, and works out each answer from the whole story.

mod steps;
mod story;
mod walk;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::reactor::ids::Direction;
use crate::reactor::readiness::Until;
use steps::{Arming, Said, Step};
use walk::{WAITERS, Walk};

fn any_step() -> impl Strategy<Value = Step> {
    let until = || prop_oneof![Just(Until::Attempt), Just(Until::Event)];
    let arming = || {
        prop_oneof![
            4 => Just(Arming::Poll),
            2 => Just(Arming::Overflow),
            1 => Just(Arming::NeitherTells),
            1 => Just(Arming::Impossible),
        ]
    };
    let said = || {
        prop_oneof![
            4 => Just(Said::Ready),
            1 => Just(Said::End),
            1 => Just(Said::Error),
            1 => Just(Said::Nothing),
        ]
    };
    prop_oneof![
        3 => until().prop_map(Step::Ask),
        1 => Just(Step::Moved),
        1 => Just(Step::Eagain),
        1 => Just(Step::EagainElsewhere),
        1 => Just(Step::Short),
        6 => (0..WAITERS, arming()).prop_map(|(waiter, arming)| Step::Block(waiter, arming)),
        3 => (0..WAITERS, until(), arming()).prop_map(|(waiter, until, arming)| Step::Wait(waiter, until, arming)),
        2 => (0..WAITERS).prop_map(Step::Forget),
        8 => (any::<bool>(), said()).prop_map(|(inline, said)| Step::Event { inline, said }),
        3 => Just(Step::Event { inline: true, said: Said::Ready }),
        2 => Just(Step::NextTurn),
        2 => Just(Step::Later),
        1 => Just(Step::Refused),
        1 => Just(Step::RefusesPolls),
        2 => Just(Step::Interrupted),
    ]
}

fn any_direction() -> impl Strategy<Value = Direction> {
    prop_oneof![3 => Just(Direction::Read), 2 => Just(Direction::Write)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_walks_agree_with_the_story(
        steps in proptest::collection::vec((any_direction(), any_step()), 0..150),
        loses_overflow_at in 0..300_usize,
    ) {
        let mut walk = Walk::new();
        for (at, (direction, step)) in steps.into_iter().enumerate() {
            if at == loses_overflow_at {
                walk.step(direction, Step::LosesOverflow);
            }
            walk.step(direction, step);
        }
        walk.finish();
    }
}

const READY: Step = Step::Event { inline: false, said: Said::Ready };
const INLINE: Step = Step::Event { inline: true, said: Said::Ready };

/// One of each kind where the choice makes a difference.
const ALPHABET: [Step; 20] = [
    Step::Ask(Until::Attempt),
    Step::Ask(Until::Event),
    Step::Moved,
    Step::Eagain,
    Step::EagainElsewhere,
    Step::Short,
    Step::Block(0, Arming::Poll),
    Step::Block(1, Arming::Overflow),
    Step::Block(1, Arming::Impossible),
    Step::Wait(1, Until::Attempt, Arming::NeitherTells),
    Step::Wait(2, Until::Event, Arming::Poll),
    Step::Forget(1),
    INLINE,
    READY,
    Step::Event { inline: false, said: Said::End },
    Step::NextTurn,
    Step::Later,
    Step::Refused,
    Step::RefusesPolls,
    Step::Interrupted,
];

/// Takes every path of at most `depth` steps of one direction that begins with `path`.
fn enumerate(direction: Direction, path: &mut Vec<Step>, depth: usize) {
    let mut walk = Walk::new();
    path.iter().for_each(|step| walk.step(direction, *step));
    walk.finish();
    if depth > 0 {
        for step in ALPHABET {
            path.push(step);
            enumerate(direction, path, depth - 1);
            path.pop();
        }
    }
}

#[test]
fn all_short_walks_agree_with_the_story() {
    enumerate(Direction::Read, &mut Vec::new(), 4);
}

#[test]
fn all_short_walks_after_inline_completions_agree_with_the_story() {
    let busy = [Step::Block(0, Arming::Poll), INLINE, Step::Ask(Until::Attempt), Step::Moved];
    enumerate(Direction::Read, &mut [busy, busy].concat(), 3);
}

#[test]
fn all_short_walks_after_contradictions_agree_with_the_story() {
    let contradiction = [Step::Block(0, Arming::Poll), INLINE, Step::Ask(Until::Attempt)];
    enumerate(Direction::Write, &mut [contradiction, contradiction, contradiction].concat(), 3);
    enumerate(Direction::Write, &mut [contradiction, contradiction, contradiction, contradiction].concat(), 3);
}

#[test]
fn all_short_walks_by_edges_agree_with_the_story() {
    let refused = [Step::Block(0, Arming::Poll), Step::RefusesPolls];
    enumerate(Direction::Read, &mut refused.to_vec(), 4);
}
