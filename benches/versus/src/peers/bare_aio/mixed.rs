//! mixed: the connections of echo, and one more iocb that is a read and a write by turns.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};

use super::connections::{self, Step};
use super::echo;
use super::kioctx::{Event, Iocb};
use crate::blocks::{self, Access, Block};
use crate::workloads::echo::SMALL;
use crate::workloads::mixed::{CHUNK, Copying};

enum Party {
    Client(echo::Connection),
    Copier(Copier),
}

struct Copier {
    from: File,
    to: File,
    offsets: Box<dyn Iterator<Item = u64>>,
    offset: u64,
    state: State,
    /// Leaked: the kernel may write to it as long as the process lives, even after the loop has
    /// ended with an error.
    chunk: &'static mut Block<CHUNK>,
}

#[derive(Clone, Copy)]
enum State {
    Reading,
    Writing,
}

pub fn serve(listener: TcpListener, copying: Copying) -> Result<()> {
    let mut copier = Copier {
        from: blocks::open(&copying.from, Access::DirectRead)?,
        to: blocks::open(&copying.to, Access::DirectWrite)?,
        offsets: Box::new(copying.offsets()),
        offset: 0,
        state: State::Reading,
        chunk: Box::leak(Block::zeroed()),
    };
    let first = copier.read_next(0)?;
    connections::serve_beside(Some((Party::Copier(copier), first)), &listener, |stream, data| {
        let (client, wait) = echo::Connection::open(stream, data, SMALL);
        (Party::Client(client), wait)
    })
}

impl connections::Connection for Party {
    fn advance(&mut self, event: &Event, iocb: &mut Iocb) -> Result<Step> {
        match self {
            Party::Client(client) => client.advance(event, iocb),
            Party::Copier(copier) => copier.advance(event, iocb),
        }
    }
}

impl connections::Connection for Copier {
    fn advance(&mut self, event: &Event, iocb: &mut Iocb) -> Result<Step> {
        ensure!(event.res == CHUNK as i64, "a transfer gave {}", event.res);
        *iocb = match self.state {
            State::Reading => self.write(event.data),
            State::Writing => self.read_next(event.data)?,
        };
        Ok(Step::Submit)
    }
}

impl Copier {
    fn read_next(&mut self, data: u64) -> Result<Iocb> {
        self.state = State::Reading;
        self.offset = self.offsets.next().context("a copy has no end")?;
        Ok(Iocb::pread(self.from.as_raw_fd(), self.chunk, self.offset, data))
    }

    fn write(&mut self, data: u64) -> Iocb {
        self.state = State::Writing;
        Iocb::pwrite(self.to.as_raw_fd(), self.chunk, self.offset, data)
    }
}
