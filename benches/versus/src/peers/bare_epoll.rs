//! No runtime: one loop on epoll, as a C program would write it. It shows what the kernel's part costs where readiness
//! comes from epoll.
//!
//! One epoll_wait a turn. Sockets are edge-triggered: registered once, never touched again, and not looked at a second
//! time by the kernel after each event, as it does when level-triggered. The price is that a socket must be drained; a
//! short read shows that it is, without a second one that gives EAGAIN.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::Peer;

pub const PEER: Peer = Peer {
    name: "bare-epoll",
    echo: Some(echo),
    // epoll has nothing to say about files.
    unified: None,
    read: None,
    // There are no tasks.
    spawn_join: None,
    yield_now: None,
    sleep: None,
};

/// The data of the listener's events; a connection's is its index.
const LISTENER: u64 = u64::MAX;
/// How many events one turn may bring.
const BATCH: usize = 1024;

fn echo(listener: TcpListener) -> Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections = Vec::new();
    let mut buffer = [0; 4096];
    let mut events = Vec::with_capacity(BATCH);
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                accept(&listener, &epoll, &mut connections)?;
                continue;
            }
            let slot = &mut connections[event.data.u64() as usize];
            let stream = slot.as_ref().expect("only an open connection has events");
            // Once the peer has sent its end, the edge for it may have been this one: a short read proves nothing more.
            let ended = { event.flags }.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            if !answer(stream, &mut buffer, ended)? {
                *slot = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, epoll: &OwnedFd, connections: &mut Vec<Option<TcpStream>>) -> Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("accept"),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let interest = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(epoll, &stream, EventData::new_u64(connections.len() as u64), interest)?;
        connections.push(Some(stream));
    }
}

/// Sends back what there is, until a short read; false once the peer has gone.
fn answer(mut stream: &TcpStream, buffer: &mut [u8], ended: bool) -> Result<bool> {
    loop {
        let count = match stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => return Err(error).context("receive a request"),
        };
        match stream.write(&buffer[..count]) {
            // A closed loop has one answer under way, which always fits into the socket's buffer.
            Ok(sent) => ensure!(sent == count, "an answer was sent by halves"),
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => return Err(error).context("send an answer"),
        }
        if count < buffer.len() && !ended {
            return Ok(true);
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
