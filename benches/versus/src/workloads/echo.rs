//! echo: the server sends back what it gets. The message is 64 bytes, and never twice the same.

use crate::load::Dialogue;

pub const MESSAGE_SIZE: usize = 64;

pub struct Client {
    message: [u8; MESSAGE_SIZE],
    count: u64,
}

impl Dialogue for Client {
    const ANSWER: usize = MESSAGE_SIZE;

    fn new(connection: usize) -> Self {
        Client { message: [connection as u8; MESSAGE_SIZE], count: 0 }
    }

    fn next_request(&mut self) -> &[u8] {
        self.count += 1;
        self.message[..8].copy_from_slice(&self.count.to_le_bytes());
        &self.message
    }

    fn is_answer(&self, answer: &[u8]) -> bool {
        answer == self.message
    }
}
