//! In which order the cells of one case take turns, and for how many rounds.

use anyhow::Result;

use super::cell::Cell;
use crate::measure::Measurement;

/// How many rounds a case is run for.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub least: usize,
    /// Where it is close.
    pub most: usize,
}

/// Lets all cells of one case take turns, round by round, so that a machine that is slow for a
/// while is slow for neighbours in a round alike.
///
/// A close race goes on: `close` tells which cells it is still between after the first rounds. They
/// alone run as many rounds more as have been run, again and again, up to the most.
pub fn run(
    cells: &mut [Cell],
    rounds: Rounds,
    close: impl Fn(&[Cell]) -> Vec<usize>,
    mut measure: impl FnMut(&Cell) -> Result<Measurement>,
) {
    let mut order = Order::of(0..cells.len());
    let (mut round, mut until) = (0, rounds.least);
    loop {
        while round < until {
            for &index in order.next() {
                cells[index].run(round, &mut measure);
            }
            round += 1;
        }
        let running = close(cells);
        if running.is_empty() || round >= rounds.most {
            return;
        }
        order = Order::of(running);
        until = (2 * round).min(rounds.most);
    }
}

/// The order of turns in a round: at random, and the next time the other way round. So nobody
/// always runs after the same neighbour, and of two one is as often first as the other.
struct Order {
    turns: Vec<usize>,
    random: fastrand::Rng,
    rounds: usize,
}

impl Order {
    fn of(cells: impl IntoIterator<Item = usize>) -> Order {
        Order { turns: cells.into_iter().collect(), random: fastrand::Rng::new(), rounds: 0 }
    }

    fn next(&mut self) -> &[usize] {
        match self.rounds % 2 {
            0 => self.random.shuffle(&mut self.turns),
            _ => self.turns.reverse(),
        }
        self.rounds += 1;
        &self.turns
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::driver::cell::Role;
    use crate::peers::PEERS;
    use crate::workloads::{Case, Workload};

    /// The names of those that ran, in the order in which they did.
    fn ran(rounds: Rounds, close: impl Fn(&[Cell]) -> Vec<usize>) -> Vec<String> {
        let cell = |index: usize| Cell::new(Workload::Read, Case::of(1), &PEERS[index], Role::Peer, false);
        let mut cells = [0, 2, 3].map(cell);
        let ran = RefCell::new(Vec::new());
        run(&mut cells, rounds, close, |cell| {
            ran.borrow_mut().push(cell.name());
            Ok(Measurement::default())
        });
        ran.into_inner()
    }

    fn times(ran: &[String], name: &str) -> usize {
        ran.iter().filter(|one| *one == name).count()
    }

    #[test]
    fn only_a_close_race_goes_on_and_up_to_the_most() {
        let rounds = Rounds { least: 4, most: 13 };
        let all = ran(rounds, |_| Vec::new());
        assert_eq!(["aio-runtime", "tokio", "smol"].map(|name| times(&all, name)), [4; 3]);
        let close = ran(rounds, |_| vec![0, 2]);
        assert_eq!(["aio-runtime", "tokio", "smol"].map(|name| times(&close, name)), [13, 4, 13]);
    }

    #[test]
    fn race_is_looked_at_again_whenever_its_rounds_have_doubled() {
        let looks = RefCell::new(Vec::new());
        ran(Rounds { least: 3, most: 20 }, |cells| {
            looks.borrow_mut().push(cells[1].turns.len());
            vec![0, 1]
        });
        assert_eq!(looks.into_inner(), [3, 6, 12, 20]);
    }

    #[test]
    fn every_second_round_is_the_reverse_of_the_one_before() {
        let all = ran(Rounds { least: 6, most: 6 }, |_| Vec::new());
        for pair in all.chunks(6) {
            let mut second = pair[3..].to_vec();
            second.reverse();
            assert_eq!(pair[..3], second);
        }
    }
}
