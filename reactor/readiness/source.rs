//! One registered descriptor.

use std::ops::{Index, IndexMut};
use std::os::fd::RawFd;

use super::state::{Readiness, Wait};
use crate::reactor::ids::Direction;

/// A descriptor that somebody else owns and closes, with the state of its directions.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) fd: RawFd,
    /// The nested epoll has an entry for it, whether or not that is armed.
    pub(crate) in_overflow: bool,
    directions: [Readiness; Direction::BOTH.len()],
}

impl Source {
    pub(crate) fn new(fd: RawFd) -> Self {
        Self { fd, in_overflow: false, directions: Default::default() }
    }

    /// The directions that the nested epoll should watch.
    pub(crate) fn overflow_directions(&self) -> impl Iterator<Item = Direction> {
        Direction::BOTH.into_iter().filter(|direction| self[*direction].current_wait() == Wait::Overflow)
    }
}

impl Index<Direction> for Source {
    type Output = Readiness;

    fn index(&self, direction: Direction) -> &Readiness {
        &self.directions[direction as usize]
    }
}

impl IndexMut<Direction> for Source {
    fn index_mut(&mut self, direction: Direction) -> &mut Readiness {
        &mut self.directions[direction as usize]
    }
}
