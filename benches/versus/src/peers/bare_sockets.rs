//! What the bare loops do with nonblocking sockets, however they learn that one is ready.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};

/// Accepts a connection if one is waiting.
pub fn accept(listener: &TcpListener) -> Result<Option<TcpStream>> {
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

/// Receives what has arrived: none if the wakeup was spurious, 0 bytes if the peer has gone, in
/// whatever way.
pub fn receive(mut stream: &TcpStream, into: &mut [u8]) -> Result<Option<usize>> {
    match stream.read(into) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if is_gone(&error) => Ok(Some(0)),
        Err(error) => Err(error).context("receive a request"),
    }
}

/// Sends all of an answer at once. A closed loop has one answer under way, which always fits into
/// the socket's buffer.
pub fn send(mut stream: &TcpStream, answer: &[u8]) -> Result<()> {
    match stream.write(answer) {
        Ok(sent) => ensure!(sent == answer.len(), "only a part of an answer was sent"),
        // The peer has gone: the next receive reports it.
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error).context("send an answer"),
    }
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
