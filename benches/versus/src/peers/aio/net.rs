//! What ours is compared in with tokio alone: datagrams, Unix sockets and long streams here, HTTP
//! beside this.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

use aio_runtime::Runtime;
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::TcpStream;
use anyhow::Result;

use super::common::{echo, serve};
use super::http;
use crate::peers::peer::Net;
use crate::workloads::bulk::{PIECE, piece};
use crate::workloads::echo::{SMALL, buffer_size};

pub const NET: Net = Net { udp_echo, unix_echo, bulk_receive, bulk_send, http: http::hello, axum_read: http::read };

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
