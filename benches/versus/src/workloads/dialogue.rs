//! What a client and a server say to each other on a connection.

use crate::workloads::Case;

/// The client's side of a conversation: a request, then its answer, then the next request.
pub trait Dialogue {
    /// For the connection with this number.
    fn new(case: &Case, connection: usize) -> Self;

    /// Goes on to the next request.
    fn advance(&mut self);

    fn request(&self) -> &[u8];

    /// The length of every answer.
    fn answer_size(&self) -> usize;

    /// Whether this is the answer to the request.
    fn is_answer(&self, answer: &[u8]) -> bool;
}
