//! echo, udp-echo, unix-echo: the server sends back what it receives. No message equals the one
//! before.

use crate::workloads::{Case, Dialogue};

/// The length of a message where it is not the point.
pub const SMALL: usize = 64;

/// The lengths that echo is measured with. Few real messages are as long as a power of two, so only
/// one of these is.
pub const SIZES: [usize; 3] = [SMALL, 1_000, 12_000];

/// What many programs read at a time, and as long as a power of two.
pub const LARGE: usize = 16 << 10;

/// The length of a server's buffer, of which each connection has one. There is room for two
/// messages, so a runtime sees a short read, and knows from it that the socket is drained.
pub const fn buffer_size(message: usize) -> usize {
    2 * message
}

pub struct Client {
    message: Box<[u8]>,
    count: u64,
}

impl Dialogue for Client {
    fn new(case: &Case, connection: usize) -> Self {
        let message = (0..case.message.unwrap_or(SMALL)).map(|place| (connection + place) as u8).collect();
        Client { message, count: 0 }
    }

    fn advance(&mut self) {
        self.count += 1;
        self.message[..8].copy_from_slice(&self.count.to_le_bytes());
    }

    fn request(&self) -> &[u8] {
        &self.message
    }

    fn answer_size(&self) -> usize {
        self.message.len()
    }

    fn is_answer(&self, answer: &[u8]) -> bool {
        answer == &*self.message
    }
}
