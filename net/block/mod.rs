//! The block that every kind of stream is built on.

pub(super) mod futures_io;
pub(super) mod kind;
pub(super) mod listener;
pub(super) mod split;
pub(super) mod stream;
pub(super) mod surface;
