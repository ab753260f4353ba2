//! echo: wait, receive, send, wait again.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::Result;

use super::connections::{self, Step};
use super::kioctx::{Event, Iocb};
use crate::peers::bare_sockets::{receive, send};
use crate::workloads::echo::buffer_size;

pub struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

pub fn serve(listener: TcpListener, message: usize) -> Result<()> {
    connections::serve(&listener, |stream, data| Connection::open(stream, data, message))
}

impl Connection {
    pub fn open(stream: TcpStream, data: u64, message: usize) -> (Connection, Iocb) {
        let wait = Iocb::poll_in(stream.as_raw_fd(), data);
        (Connection { stream, buffer: vec![0; buffer_size(message)].into() }, wait)
    }
}

impl connections::Connection for Connection {
    // The same poll again and again: the iocb stays as it is.
    fn advance(&mut self, _: &Event, _: &mut Iocb) -> Result<Step> {
        let Some(count) = receive(&self.stream, &mut self.buffer)? else {
            return Ok(Step::Submit);
        };
        if count == 0 {
            return Ok(Step::Close);
        }
        send(&self.stream, &self.buffer[..count])?;
        Ok(Step::Submit)
    }
}
