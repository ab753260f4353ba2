//! The block that every kind of stream is built on.

pub(super) mod split;
pub(super) mod stream;
