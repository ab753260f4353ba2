//! unified: a request is the number of a block, 8 bytes little endian; the answer is that block, 4096 bytes.

use crate::blocks::{self, BLOCK_COUNT, BLOCK_SIZE};
use crate::load::Dialogue;

const REQUEST_SIZE: usize = 8;
const ROOM: usize = 4 * REQUEST_SIZE;
/// How much a runtime that receives to a buffer of its own may take at once: with a request cut short before, it fits.
pub const RECEIVE_SIZE: usize = ROOM - REQUEST_SIZE;

pub struct Client {
    random: fastrand::Rng,
    block: u64,
    request: [u8; REQUEST_SIZE],
}

impl Dialogue for Client {
    const ANSWER: usize = BLOCK_SIZE;

    fn new(connection: usize) -> Self {
        Client { random: fastrand::Rng::with_seed(connection as u64), block: 0, request: [0; REQUEST_SIZE] }
    }

    fn next_request(&mut self) -> &[u8] {
        self.block = self.random.u64(..BLOCK_COUNT);
        self.request = self.block.to_le_bytes();
        &self.request
    }

    fn is_answer(&self, answer: &[u8]) -> bool {
        blocks::is_block(self.block, answer)
    }
}

/// The server's side: cuts what is received into requests.
///
/// There is room for more than one, so that a runtime sees a short read, and knows from it that the socket is drained.
#[derive(Default)]
pub struct Requests {
    bytes: [u8; ROOM],
    filled: usize,
}

impl Requests {
    /// Where to receive to.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Tells that the first `count` bytes of the space have been received.
    pub fn received(&mut self, count: usize) {
        self.filled += count;
    }

    /// Takes what was received elsewhere, at most [`RECEIVE_SIZE`], when all requests received whole have been taken.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.space()[..bytes.len()].copy_from_slice(bytes);
        self.received(bytes.len());
    }
}

/// The block numbers received whole.
impl Iterator for Requests {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.filled < REQUEST_SIZE {
            return None;
        }
        let (request, _) = self.bytes.split_first_chunk().expect("filled so far");
        let block = u64::from_le_bytes(*request);
        self.bytes.copy_within(REQUEST_SIZE..self.filled, 0);
        self.filled -= REQUEST_SIZE;
        Some(block)
    }
}
