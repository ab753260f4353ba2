//! All that streams, listeners and datagram sockets of different kinds have in common. `net/mod.rs`
//! has the picture.

pub(super) mod buf_mut;
pub(super) mod datagram;
pub(super) mod kind;
pub(super) mod listener;
pub(super) mod methods;
pub(super) mod options;
#[cfg(feature = "tokio-io")]
pub(super) mod read_buf;
pub(super) mod socket;
pub(super) mod split;
pub(super) mod stream;
pub(super) mod surface;
pub(super) mod traits;
pub(super) mod unfilled;
