//! What ours is compared in with tokio alone: datagrams, Unix sockets and long streams here, HTTP
//! beside this.

use std::future::poll_fn;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::task::Poll;

use aio_runtime::Runtime;
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::TcpStream;
use anyhow::{Result, ensure};

use super::common::{echo, serve};
use super::http;
use crate::peers::peer::Net;
use crate::workloads::bulk::{PIECE, piece};
use crate::workloads::echo::{SMALL, buffer_size};

pub const NET: Net =
    Net { udp_echo, unix_echo, socket_memory, bulk_receive, bulk_send, http: http::hello, axum_read: http::read };

fn udp_echo(socket: UdpSocket) -> Result<()> {
    Runtime::new()?.block_on(async {
        let socket = aio_runtime::net::UdpSocket::from_std(socket)?;
        let mut buffer = vec![0; buffer_size(SMALL)];
        loop {
            let (count, client) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..count], client).await?;
        }
    })
}

fn unix_echo(listener: UnixListener) -> Result<()> {
    Runtime::new()?.block_on(async {
        let listener = aio_runtime::net::UnixListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            aio_runtime::spawn(echo(stream, SMALL));
        }
    })
}

fn socket_memory(listener: TcpListener) -> Result<()> {
    Runtime::new()?.block_on(async {
        let listener = aio_runtime::net::TcpListener::from_std(listener)?;
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await?;
            let mut buffer = [0; buffer_size(SMALL)];
            let count = stream.read(&mut buffer).await?;
            stream.write_all(&buffer[..count]).await?;
            // From now on it is waited for, without a task of its own.
            let is_ready = poll_fn(|context| Poll::Ready(stream.poll_read_ready(context).is_ready())).await;
            ensure!(!is_ready, "an idle connection has something to say");
            kept.push(stream);
        }
    })
}

fn bulk_receive(listener: TcpListener) -> Result<()> {
    Runtime::new()?.block_on(serve(listener, receive))
}

async fn receive(mut stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut received = 0;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        received += count as u64;
    }
    stream.write_all(&received.to_le_bytes()).await?;
    Ok(())
}

fn bulk_send(listener: TcpListener) -> Result<()> {
    Runtime::new()?.block_on(serve(listener, send))
}

async fn send(mut stream: TcpStream) -> Result<()> {
    let piece = piece();
    loop {
        stream.write_all(&piece).await?;
    }
}
