//! What echo and unified share: the listener and its connections, each with its own iocb.

#![allow(unsafe_code)]

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::Result;

use super::kioctx::{Event, Iocb, Kioctx};
use crate::peers::bare_sockets::accept;

/// More than the connections of any run, each of which has one request at a time.
const REQUESTS: u32 = 16_384;
/// The data of the listener's events. A connection's data is its index.
const LISTENER: u64 = u64::MAX;

/// The state of a connection. It has one request at a time, in an iocb of its own.
pub trait Connection {
    /// Continues after an event, with the iocb that it came from. What the iocb then points to must
    /// stay forever.
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

/// Serves forever. `open` makes a connection's state and its first request.
pub fn serve<C: Connection>(listener: &TcpListener, open: impl Fn(TcpStream, u64) -> (C, Iocb)) -> Result<()> {
    serve_beside(None, listener, open)
}

/// As [`serve`], with one more state that has no stream but makes requests anyway, whose data is 0.
pub fn serve_beside<C: Connection>(
    other: Option<(C, Iocb)>,
    listener: &TcpListener,
    open: impl Fn(TcpStream, u64) -> (C, Iocb),
) -> Result<()> {
    let mut kioctx = Kioctx::new(REQUESTS)?;
    let mut accepting = Box::new(Iocb::poll_in(listener.as_raw_fd(), LISTENER));
    let mut slots = Slots::new();
    let mut events = Vec::new();
    // SAFETY: `accepting` is boxed and lives as long as the loop; a poll points to nothing else.
    unsafe { kioctx.queue(&mut *accepting) };
    if let Some((connection, iocb)) = other {
        slots.insert(connection, iocb, &mut kioctx);
    }
    loop {
        kioctx.turn(&mut events)?;
        for event in &events {
            if event.data == LISTENER {
                while let Some(stream) = accept(listener)? {
                    let (connection, iocb) = open(stream, slots.vacant());
                    slots.insert(connection, iocb, &mut kioctx);
                }
                // SAFETY: as above.
                unsafe { kioctx.queue(&mut *accepting) };
                continue;
            }
            slots.advance(event, &mut kioctx)?;
        }
    }
}

/// The connections. An index is reused after its connection was closed.
struct Slots<C> {
    slots: Vec<Option<Box<Slot<C>>>>,
    vacant: Vec<usize>,
}

impl<C: Connection> Slots<C> {
    fn new() -> Self {
        Slots { slots: Vec::new(), vacant: Vec::new() }
    }

    /// The data of the next connection's requests.
    fn vacant(&self) -> u64 {
        self.vacant.last().copied().unwrap_or(self.slots.len()) as u64
    }

    fn insert(&mut self, connection: C, iocb: Iocb, kioctx: &mut Kioctx) {
        let slot = match self.vacant.pop() {
            Some(index) => &mut self.slots[index],
            None => self.slots.push_mut(None),
        };
        let slot = slot.insert(Box::new(Slot { iocb, connection }));
        // SAFETY: the slot is boxed, and dropped only after an event, when nothing of it is queued.
        // What its iocb may point to stays forever.
        unsafe { kioctx.queue(&mut slot.iocb) };
    }

    fn advance(&mut self, event: &Event, kioctx: &mut Kioctx) -> Result<()> {
        let index = event.data as usize;
        let open = self.slots[index].as_mut().expect("only an open connection has events");
        match open.connection.advance(event, &mut open.iocb)? {
            // SAFETY: as for its first request.
            Step::Submit => unsafe { kioctx.queue(&mut open.iocb) },
            Step::Close => {
                self.slots[index] = None;
                self.vacant.push(index);
            }
        }
        Ok(())
    }
}
