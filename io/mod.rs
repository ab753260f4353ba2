//! The traits for asynchronous reading and writing, and the helpers built on them, from the
//! `futures` crate; what one can wait for; and any descriptor, in [`unix`].

pub mod unix;

pub use futures::io::*;

pub use crate::reactor::{Interest, Ready};
