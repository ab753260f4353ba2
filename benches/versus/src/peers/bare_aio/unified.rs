//! unified: wait, receive, read the block, send it, wait again. The one iocb is a poll and a read
//! by turns.

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use anyhow::{Result, ensure};

use super::connections::{self, Step};
use super::kioctx::{Event, Iocb};
use crate::blocks::{self, Access, BLOCK_SIZE, Block};
use crate::peers::bare_sockets::{receive, send};
use crate::workloads::unified::Requests;

struct Connection {
    stream: TcpStream,
    file: RawFd,
    requests: Requests,
    /// Leaked: the kernel may write to it as long as the process lives, even after the loop has
    /// ended with an error.
    block: &'static mut Block,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// The iocb polls the socket.
    Waiting,
    /// The iocb reads into `block`.
    Reading,
}

pub fn serve(listener: TcpListener, path: &Path) -> Result<()> {
    let file = blocks::open(path, Access::DirectRead)?;
    connections::serve(&listener, |stream, data| {
        let wait = Iocb::poll_in(stream.as_raw_fd(), data);
        let connection = Connection {
            stream,
            file: file.as_raw_fd(),
            requests: Requests::default(),
            block: Box::leak(Block::zeroed()),
            state: State::Waiting,
        };
        (connection, wait)
    })
}

impl connections::Connection for Connection {
    fn advance(&mut self, event: &Event, iocb: &mut Iocb) -> Result<Step> {
        match self.state {
            State::Waiting => match receive(&self.stream, self.requests.space())? {
                Some(0) => return Ok(Step::Close),
                Some(count) => self.requests.received(count),
                None => {}
            },
            State::Reading => {
                ensure!(event.res == BLOCK_SIZE as i64, "a read gave {}", event.res);
                send(&self.stream, self.block)?;
            }
        }
        (self.state, *iocb) = match self.requests.next() {
            Some(number) => (State::Reading, self.read_block(number, event.data)),
            None => (State::Waiting, Iocb::poll_in(self.stream.as_raw_fd(), event.data)),
        };
        Ok(Step::Submit)
    }
}

impl Connection {
    fn read_block(&mut self, number: u64, data: u64) -> Iocb {
        Iocb::pread(self.file, self.block, blocks::offset(number), data)
    }
}
