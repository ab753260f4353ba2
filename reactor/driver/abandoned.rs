//! The list of abandoned waits; `abandon.rs` says what becomes of them.

use std::collections::VecDeque;

use crate::reactor::ids::{Direction, SourceId};

/// Directions whose last waiter has gone while a poll was armed, oldest first, each once.
#[derive(Debug, Default)]
pub(super) struct Abandoned {
    pub(super) turn: u32,
    pub(super) listed: VecDeque<(SourceId, Direction)>,
}
