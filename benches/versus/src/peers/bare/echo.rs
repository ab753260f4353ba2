//! echo: wait, receive, send, wait again.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::Result;

use super::connections::{self, Step, receive, send};
use super::kioctx::{Event, Iocb};

struct Connection {
    stream: TcpStream,
    buffer: [u8; 4096],
}

pub fn serve(listener: TcpListener) -> Result<()> {
    connections::serve(&listener, |stream, data| {
        let wait = Iocb::poll_in(stream.as_raw_fd(), data);
        let buffer = [0; 4096];
        (Connection { stream, buffer }, wait)
    })
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
