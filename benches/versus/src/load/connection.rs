//! One connection: sends its requests, receives and checks the answers.

use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::job::{LoadRun, unix_name};
use crate::workloads::{Dialogue, Workload};

pub struct Connection<D> {
    pub socket: OwnedFd,
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
    pub fn open(run: &LoadRun, dialogue: D) -> Result<Self> {
        let socket = socket(run)?;
        let answer = vec![0; dialogue.answer_size()].into();
        // Nothing to send yet: the first event only says that there is room.
        let sent = dialogue.request().len();
        Ok(Connection { socket, dialogue, due: Instant::now(), sent, answer, heard: 0 })
    }

    /// Closes the connection, and opens another in its place.
    pub fn reopen(&mut self, run: &LoadRun) -> Result<()> {
        self.socket = socket(run)?;
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

    /// How long its request has been under way.
    pub fn waits(&self) -> Duration {
        self.due.elapsed()
    }

    /// Sends as much as the socket takes. The rest follows at the event that says there is room.
    fn send(&mut self) -> Result<()> {
        let rest = &self.dialogue.request()[self.sent..];
        match send(&self.socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => self.sent += sent,
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error).context("send a request"),
        }
        Ok(())
    }

    /// Receives what has arrived, up to the end of the answer.
    fn receive(&mut self) -> Result<()> {
        while self.heard < self.answer.len() {
            match recv(&self.socket, &mut self.answer[self.heard..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => bail!("the server closed a connection"),
                Ok((more, _)) => self.heard += more,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error).context("receive an answer"),
            }
        }
        Ok(())
    }
}

/// What the workload talks through.
fn socket(run: &LoadRun) -> Result<OwnedFd> {
    match run.workload {
        Workload::UdpEcho => {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect((Ipv4Addr::LOCALHOST, run.port)).context("connect")?;
            Ok(socket.into())
        }
        Workload::UnixEcho => Ok(UnixStream::connect_addr(&unix_name(run.server)?).context("connect")?.into()),
        _ => Ok(connect(run.port)?.into()),
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
