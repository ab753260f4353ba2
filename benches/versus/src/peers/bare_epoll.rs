//! No runtime: one loop on epoll, as a C program would write it. It shows what the kernel's part
//! costs where readiness comes from epoll.
//!
//! Each turn makes one epoll_wait. Sockets are edge-triggered: they are registered once and never
//! touched again, and the kernel does not check them a second time after each event, as it does for
//! level-triggered ones. The price is that a socket must be drained. A short read shows that it is,
//! without another read that fails with EAGAIN.

use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use slab::Slab;

use super::bare_sockets::{accept, receive, send};
use super::{Kind, Peer};
use crate::workloads::echo::buffer_size;

pub const PEER: Peer = Peer {
    name: "bare-epoll",
    kind: Kind::Bare,
    package: None,
    echo: Some(echo),
    // epoll takes a file to be always ready, and reading it blocks anyway.
    unified: None,
    mixed: None,
    read: None,
    write: None,
    // It has no tasks.
    micro: None,
    net: None,
};

/// The data of the listener's events. A connection's data is its key.
const LISTENER: u64 = u64::MAX;
/// The most events of one turn.
const BATCH: usize = 1024;

struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

fn echo(listener: TcpListener, message: usize) -> Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections = Slab::new();
    let mut events = Vec::with_capacity(BATCH);
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            let (data, flags) = (event.data.u64(), event.flags);
            if data == LISTENER {
                while let Some(stream) = accept(&listener)? {
                    let entry = connections.vacant_entry();
                    let interest = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
                    epoll::add(&epoll, &stream, EventData::new_u64(entry.key() as u64), interest)?;
                    entry.insert(Connection { stream, buffer: vec![0; buffer_size(message)].into() });
                }
            } else if !connections[data as usize].answer(flags)? {
                connections.remove(data as usize);
            }
        }
    }
}

impl Connection {
    /// Sends back what has arrived; false once the peer has gone.
    fn answer(&mut self, flags: EventFlags) -> Result<bool> {
        // The end of the stream may have come with the last bytes, and no other edge will report
        // it: then a short read proves nothing.
        let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        while let Some(count) = receive(&self.stream, &mut self.buffer)? {
            if count == 0 {
                return Ok(false);
            }
            send(&self.stream, &self.buffer[..count])?;
            if count < self.buffer.len() && !ended {
                break;
            }
        }
        Ok(true)
    }
}
