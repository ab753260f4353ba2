//! bulk-receive, bulk-send: bytes go one way through one connection, as fast as it takes them. An
//! operation is a MiB.

/// What both sides read or write at a time.
pub const PIECE: usize = 64 << 10;

/// What a stream says over and over.
pub fn piece() -> Box<[u8]> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..PIECE).map(|_| random.u8(..)).collect()
}
