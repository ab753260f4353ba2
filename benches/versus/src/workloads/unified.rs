//! unified: a request is the number of a block, 8 bytes little endian. The answer is that block,
//! 4096 bytes.

use std::sync::LazyLock;

use crate::blocks::{self, BLOCK_COUNT, BLOCK_SIZE};
use crate::workloads::{Case, Choice, Dialogue};

const REQUEST_SIZE: usize = 8;
const ROOM: usize = 4 * REQUEST_SIZE;
/// The most that a runtime may receive at once if it receives into a buffer of its own. It fits
/// even after a part of a request.
pub const RECEIVE_SIZE: usize = ROOM - REQUEST_SIZE;

pub struct Client {
    random: fastrand::Rng,
    choice: Choice,
    block: u64,
    request: [u8; REQUEST_SIZE],
}

impl Dialogue for Client {
    fn new(case: &Case, connection: usize) -> Self {
        let random = fastrand::Rng::with_seed(connection as u64);
        if case.choice == Choice::Zipf {
            LazyLock::force(&ZIPF);
        }
        Client { random, choice: case.choice, block: 0, request: [0; REQUEST_SIZE] }
    }

    fn advance(&mut self) {
        self.block = match self.choice {
            Choice::Uniform => self.random.u64(..BLOCK_COUNT),
            Choice::Zipf => ZIPF.choose(&mut self.random),
        };
        self.request = self.block.to_le_bytes();
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    fn answer_size(&self) -> usize {
        BLOCK_SIZE
    }

    fn is_answer(&self, answer: &[u8]) -> bool {
        blocks::is_block(self.block, answer)
    }
}

static ZIPF: LazyLock<Zipf> = LazyLock::new(Zipf::new);

/// Zipf's law with the exponent that YCSB made usual: the most popular blocks are requested over
/// and over.
struct Zipf {
    /// For each rank, the chance of that rank or a more popular one.
    up_to: Vec<f64>,
}

impl Zipf {
    fn new() -> Zipf {
        const EXPONENT: f64 = 0.99;
        let weights = (1..=BLOCK_COUNT).map(|rank| (rank as f64).powf(-EXPONENT));
        let whole: f64 = weights.clone().sum();
        let up_to = weights.scan(0.0, |sum, weight| {
            *sum += weight / whole;
            Some(*sum)
        });
        Zipf { up_to: up_to.collect() }
    }

    fn choose(&self, random: &mut fastrand::Rng) -> u64 {
        let chance = random.f64();
        let rank = self.up_to.partition_point(|&up_to| up_to <= chance) as u64;
        // Popular blocks are not to be neighbours on the disk. As BLOCK_COUNT is a power of two, an
        // odd factor gives every rank a block of its own.
        rank.wrapping_mul(0x9E37_79B9_7F4A_7C15) % BLOCK_COUNT
    }
}

/// The server's side: cuts received bytes into requests.
///
/// There is room for more than one, so a runtime sees a short read, and knows from it that the
/// socket is drained.
#[derive(Default)]
pub struct Requests {
    bytes: [u8; ROOM],
    filled: usize,
}

impl Requests {
    /// Where to receive.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Adds the first `count` bytes of the space, which have been received.
    pub fn received(&mut self, count: usize) {
        self.filled += count;
    }

    /// Adds bytes received elsewhere, at most [`RECEIVE_SIZE`]. All complete requests must have
    /// been taken before.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.space()[..bytes.len()].copy_from_slice(bytes);
        self.received(bytes.len());
    }
}

/// The block numbers of all complete requests.
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
