//! What ours is compared in with tokio alone: datagrams and Unix sockets here, HTTP beside this.

use std::net::UdpSocket;
use std::os::unix::net::UnixListener;

use aio_runtime::Runtime;
use anyhow::Result;

use super::common::echo;
use super::http;
use crate::peers::peer::Net;
use crate::workloads::echo::{SMALL, buffer_size};

pub const NET: Net = Net { udp_echo, unix_echo, http: http::hello, axum_read: http::read };

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
