//! One connection: sends its requests, takes and checks the answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt::set_socket_linger;

use crate::workloads::Dialogue;

pub struct Connection<D> {
    pub stream: TcpStream,
    dialogue: D,
    /// When the request was due: at once in a closed loop.
    due: Instant,
    /// Bytes of the request that were sent.
    sent: usize,
    answer: Box<[u8]>,
    /// Bytes of the answer that have come.
    heard: usize,
}

impl<D: Dialogue> Connection<D> {
    pub fn open(port: u16, dialogue: D) -> Result<Self> {
        let stream = connect(port)?;
        stream.set_nonblocking(true)?;
        let answer = vec![0; dialogue.answer_size()].into();
        // Nothing is left to be sent: the first event only tells that there is room.
        let sent = dialogue.request().len();
        Ok(Connection { stream, dialogue, due: Instant::now(), sent, answer, heard: 0 })
    }

    /// Closes the connection, and opens another to go on with.
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

    /// Goes on after an event; once that completes the answer, tells how long it took.
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
        ensure!(self.dialogue.is_answer(&self.answer), "a wrong answer");
        Ok(Some(latency))
    }

    /// Sends what the socket takes. The rest follows when it tells that there is room again.
    fn send(&mut self) -> Result<()> {
        let rest = &self.dialogue.request()[self.sent..];
        match self.stream.write(rest) {
            Ok(sent) => self.sent += sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("send a request"),
        }
        Ok(())
    }

    /// Takes what has come, until there is no more or the answer is whole.
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

/// Connects to the server. On the loopback interface that is done when the call returns, and it
/// does not sleep unless the server's backlog is full.
pub fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
    stream.set_nodelay(true)?;
    // A close is a reset: otherwise the port would stay taken for a minute, and ports would run
    // out.
    set_socket_linger(&stream, Some(Duration::ZERO))?;
    Ok(stream)
}
