//! What echo and unified share: the listener and its connections, each with its own iocb.

#![allow(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};

use super::kioctx::{Event, Iocb, Kioctx};

/// More than any run has connections: each has one request at a time.
const REQUESTS: u32 = 2048;
/// The data of the listener's events; a connection's is its index.
const LISTENER: u64 = u64::MAX;

/// The state of a connection. It has one request at a time, in an iocb of its own.
pub trait Connection {
    /// Goes on after an event, with the iocb that it came from; what that then points to must stay for ever.
    fn advance(&mut self, event: &Event, iocb: &mut Iocb) -> Result<Step>;
}

pub enum Step {
    /// Submit the iocb, as it is now.
    Submit,
    /// The peer has closed.
    Close,
}

/// A connection and its iocb. It is boxed: it must not move while its iocb is queued.
struct Slot<C> {
    iocb: Iocb,
    connection: C,
}

/// Serves for ever; `open` makes a connection's state and its first request.
pub fn serve<C: Connection>(listener: &TcpListener, open: impl Fn(TcpStream, u64) -> (C, Iocb)) -> Result<()> {
    let mut kioctx = Kioctx::new(REQUESTS)?;
    let mut accepting = Box::new(Iocb::poll_in(listener.as_raw_fd(), LISTENER));
    let mut slots: Vec<Option<Box<Slot<C>>>> = Vec::new();
    let mut events = Vec::new();
    // SAFETY: `accepting` is boxed and lives as long as the loop; a poll points to nothing else.
    unsafe { kioctx.queue(&mut *accepting) };
    loop {
        kioctx.turn(&mut events)?;
        for event in &events {
            if event.data == LISTENER {
                while let Some(stream) = accept(listener)? {
                    let (connection, iocb) = open(stream, slots.len() as u64);
                    let slot = slots.push_mut(Some(Box::new(Slot { iocb, connection })));
                    let slot = slot.as_mut().expect("just made");
                    // SAFETY: the slot is boxed, and dropped only after an event, when nothing of it is queued; what
                    // its iocb may point to stays for ever.
                    unsafe { kioctx.queue(&mut slot.iocb) };
                }
                // SAFETY: as above.
                unsafe { kioctx.queue(&mut *accepting) };
                continue;
            }
            let slot = &mut slots[event.data as usize];
            let open = slot.as_mut().expect("only an open connection has events");
            match open.connection.advance(event, &mut open.iocb)? {
                // SAFETY: as for its first request.
                Step::Submit => unsafe { kioctx.queue(&mut open.iocb) },
                Step::Close => *slot = None,
            }
        }
    }
}

fn accept(listener: &TcpListener) -> Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            Ok(Some(stream))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error).context("accept"),
    }
}

/// Receives what there is: none if the wake was a mere hint, 0 bytes if the peer has gone in whatever way.
pub fn receive(mut stream: &TcpStream, into: &mut [u8]) -> Result<Option<usize>> {
    match stream.read(into) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if is_gone(&error) => Ok(Some(0)),
        Err(error) => Err(error).context("receive a request"),
    }
}

/// Sends all of an answer at once. A closed loop has one answer under way, which always fits into the socket's buffer.
pub fn send(mut stream: &TcpStream, answer: &[u8]) -> Result<()> {
    match stream.write(answer) {
        Ok(sent) => ensure!(sent == answer.len(), "an answer was sent by halves"),
        // The peer has gone: the next receive tells.
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error).context("send an answer"),
    }
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
