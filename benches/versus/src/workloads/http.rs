//! http, axum-read: requests over HTTP/1.1, on connections that stay open. The answer to `http` is
//! a greeting, that to `axum-read` the block that the path names.

use std::convert::Infallible;
use std::fmt::Write;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::blocks::{self, BLOCK_COUNT, BLOCK_SIZE};
use crate::workloads::{Case, Dialogue};

/// How long a server waits for the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The server's side of `http`: the same for every runtime, as it does not wait.
pub async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(format!("hello from {}\n", request.uri().path())))
}

pub struct Hello;

impl Hello {
    const HEAD: Head = Head(
        "HTTP/1.1 200 OK\r\n\
         content-length: 13\r\n\
         date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
    );
    const BODY: &[u8] = b"hello from /\n";
}

impl Dialogue for Hello {
    fn new(_: &Case, _: usize) -> Self {
        Hello
    }

    fn advance(&mut self) {}

    fn request(&self) -> &[u8] {
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
    }

    fn answer_size(&self) -> usize {
        Hello::HEAD.len() + Hello::BODY.len()
    }

    fn is_answer(&self, answer: &[u8]) -> bool {
        Hello::HEAD.body_of(answer) == Some(Hello::BODY)
    }
}

pub struct Reader {
    random: fastrand::Rng,
    block: u64,
    request: String,
}

impl Reader {
    const HEAD: Head = Head(
        "HTTP/1.1 200 OK\r\n\
         content-type: application/octet-stream\r\n\
         content-length: 4096\r\n\
         date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
    );
}

impl Dialogue for Reader {
    fn new(_: &Case, connection: usize) -> Self {
        Reader { random: fastrand::Rng::with_seed(connection as u64), block: 0, request: String::new() }
    }

    fn advance(&mut self) {
        self.block = self.random.u64(..BLOCK_COUNT);
        self.request.clear();
        write!(self.request, "GET /blocks/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", self.block)
            .expect("a string takes all that is written");
    }

    fn request(&self) -> &[u8] {
        self.request.as_bytes()
    }

    fn answer_size(&self) -> usize {
        Reader::HEAD.len() + BLOCK_SIZE
    }

    fn is_answer(&self, answer: &[u8]) -> bool {
        Reader::HEAD.body_of(answer).is_some_and(|body| blocks::is_block(self.block, body))
    }
}

/// What an answer begins with. Only the date, which is the last thing in it, is another each time,
/// and as long as ever.
struct Head(&'static str);

impl Head {
    const fn len(&self) -> usize {
        self.0.len()
    }

    /// The rest of an answer; none if it begins otherwise.
    fn body_of<'a>(&self, answer: &'a [u8]) -> Option<&'a [u8]> {
        const DATE: usize = "Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n".len();
        let (head, body) = answer.split_at_checked(self.len())?;
        let (constant, date) = head.split_at(self.len() - DATE);
        let begins = constant == &self.0.as_bytes()[..constant.len()];
        (begins && date.ends_with(b" GMT\r\n\r\n")).then_some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_may_have_another_date_and_nothing_else() {
        let answer = |status, date, body| {
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: 13\r\ndate: {date}\r\n\r\n");
            let answer = [head.as_bytes(), body].concat();
            answer.len() == Hello.answer_size() && Hello.is_answer(&answer)
        };
        let date = "Wed, 25 Nov 2026 12:34:56 GMT";
        assert!(answer("200 OK", date, Hello::BODY));
        assert!(!answer("500 NO", date, Hello::BODY));
        assert!(!answer("200 OK", date, b"hello from .\n"));
        assert!(!answer("200 OK", "Wed, 25 Nov 2026 12:34:56 UTC", Hello::BODY));
    }
}
