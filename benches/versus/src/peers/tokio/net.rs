//! What ours is compared in with tokio alone: datagrams and Unix sockets here, HTTP beside this.

use std::net::UdpSocket;
use std::os::unix::net::UnixListener;

use anyhow::Result;

use super::common::{echo, runtime};
use super::http;
use crate::peers::peer::Net;
use crate::workloads::echo::{SMALL, buffer_size};

pub const NET: Net = Net { udp_echo, unix_echo, http: http::hello, axum_read: http::read };

fn udp_echo(socket: UdpSocket) -> Result<()> {
    runtime()?.block_on(async {
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let mut buffer = vec![0; buffer_size(SMALL)];
        loop {
            let (count, client) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..count], client).await?;
        }
    })
}

fn unix_echo(listener: UnixListener) -> Result<()> {
    runtime()?.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(echo(stream, SMALL));
        }
    })
}
