//! The traits for asynchronous reading and writing, and the helpers built on them, from the
//! `futures` crate.

pub use futures::io::*;
