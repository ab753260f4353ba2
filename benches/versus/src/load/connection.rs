//! One connection: sends its requests, receives and checks the answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt::set_socket_linger;

use crate::workloads::Dialogue;

pub struct Connection<D> {
    pub stream: TcpStream,
    dialogue: D,
    /// When the request was due; in a closed loop, when the last one was answered.
    due: Instant,
    /// Bytes of the request sent so far.
    sent: usize,
    answer: Box<[u8]>,
    /// Bytes of the answer received so far.
    heard: usize,
}

impl<D: Dialogue> Connection<D> {
    pub fn open(port: u16, dialogue: D) -> Result<Self> {
        let stream = connect(port)?;
        stream.set_nonblocking(true)?;
        let answer = vec![0; dialogue.answer_size()].into();
        // Nothing to send yet: the first event only says that there is room.
        let sent = dialogue.request().len();
        Ok(Connection { stream, dialogue, due: Instant::now(), sent, answer, heard: 0 })
    }

    /// Closes the connection, and opens another in its place.
    pub fn reopen(&mut self, port: u16) -> Result<()> {
        self.stream = connect(port)?;
        self.stream.set_nonblocking(true)?;
        Ok(())
    }

    /// Begins to send the next request.
    pub fn ask(&mut self, due: Instant) -> Result<()> {
        self.dialogue.advance();
        self.due = due;
        self.sent = 0;
        self.send()
    }

    /// Continues after an event. Returns how long the answer took, once it is complete.
    pub fn advance(&mut self) -> Result<Option<Duration>> {
        if self.sent < self.dialogue.request().len() {
            self.send()?;
        }
        self.receive()?;
        if self.heard < self.answer.len() {
            return Ok(None);
        }
        let latency = self.due.elapsed();
        self.heard = 0;
        ensure!(self.dialogue.is_answer(&self.answer), "the server sent a wrong answer");
        Ok(Some(latency))
    }

    /// Sends as much as the socket takes. The rest follows at the event that says there is room.
    fn send(&mut self) -> Result<()> {
        let rest = &self.dialogue.request()[self.sent..];
        match self.stream.write(rest) {
            Ok(sent) => self.sent += sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("send a request"),
        }
        Ok(())
    }

    /// Receives what has arrived, up to the end of the answer.
    fn receive(&mut self) -> Result<()> {
        while self.heard < self.answer.len() {
            match self.stream.read(&mut self.answer[self.heard..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(more) => self.heard += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("receive an answer"),
            }
        }
        Ok(())
    }
}

/// Connects to the server. On the loopback interface the call returns connected, and does not sleep
/// unless the server's backlog is full.
pub fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
    stream.set_nodelay(true)?;
    // Closing resets the connection. Otherwise its port would stay taken for a minute, and ports
    // would run out.
    set_socket_linger(&stream, Some(Duration::ZERO))?;
    Ok(stream)
}
