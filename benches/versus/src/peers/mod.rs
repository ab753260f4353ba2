//! The runtimes and the bare loops. Each file has the servers of one, and a [`Peer`] that says
//! which workloads it can run.
//!
//! The servers resemble each other, line by line where the runtimes allow it. They are not written
//! once for all on purpose: each is what a user of that runtime would write.

mod aio;
mod bare_aio;
mod bare_epoll;
mod bare_sockets;
mod compio;
mod glommio;
mod monoio;
mod owned;
mod peer;
mod smol;
mod tokio;
mod tokio_uring;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::process;

use anyhow::{Context, Result};
use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::blocks::Access;
use crate::job::{Files, Message, PeerRun, unix_name};
use crate::workloads::mixed::Copying;
use crate::workloads::{Workload, echo, files};
pub use peer::{Kind, Peer};

/// In the order of the tables.
pub const PEERS: &[Peer] = &[
    aio::PEER,
    aio::SPINNING,
    tokio::PEER,
    smol::PEER,
    monoio::LEGACY,
    monoio::PEER,
    glommio::PEER,
    glommio::SPINNING,
    compio::PEER,
    tokio_uring::PEER,
    bare_aio::PEER,
    bare_epoll::PEER,
];

/// Does a child's job.
pub fn run(run: &PeerRun) -> Result<()> {
    let peer = PEERS.iter().find(|peer| peer.name == run.peer);
    let peer = peer.with_context(|| format!("no peer {}", run.peer))?;
    run_on(peer, run).with_context(|| format!("{} cannot run {}", run.peer, run.workload))?
}

fn run_on(peer: &Peer, run: &PeerRun) -> Option<Result<()>> {
    let PeerRun { case, window, files: Files { source, target }, .. } = run;
    let read = |access, read| files::measure_reads(source, access, case.many, *window, read);
    let measured = match run.workload {
        Workload::Echo | Workload::Connect | Workload::ConnectionMemory | Workload::IdleCpu => {
            let message = case.message.unwrap_or(echo::SMALL);
            return peer.echo.map(|serve| serve(listen()?, message));
        }
        Workload::UdpEcho => return peer.net.as_ref().map(|net| (net.udp_echo)(bind_udp()?)),
        Workload::UnixEcho => return peer.net.as_ref().map(|net| (net.unix_echo)(listen_unix()?)),
        Workload::SocketMemory => return peer.net.as_ref().map(|net| (net.socket_memory)(listen()?)),
        Workload::BulkReceive => return peer.net.as_ref().map(|net| (net.bulk_receive)(listen()?)),
        Workload::BulkSend => return peer.net.as_ref().map(|net| (net.bulk_send)(listen()?)),
        Workload::Http => return peer.net.as_ref().map(|net| (net.http)(listen()?)),
        Workload::AxumRead => return peer.net.as_ref().map(|net| (net.axum_read)(listen()?, source)),
        Workload::Unified => return peer.unified.map(|serve| serve(listen()?, source)),
        Workload::Mixed => return peer.mixed.map(|serve| serve(listen()?, Copying::new(source, target))),
        Workload::Read => read(Access::DirectRead, peer.read?),
        Workload::Buffered => read(Access::CachedRead, peer.read?),
        Workload::Write => files::measure_writes(target, case.many, *window, peer.write?),
        Workload::SpawnJoin
        | Workload::YieldNow
        | Workload::Wake
        | Workload::Sleep
        | Workload::StartStop
        | Workload::TaskMemory => peer.micro?(run.workload, case.many, *window),
    };
    Some(measured.and_then(|measurement| Message::Measured(measurement).send()))
}

/// The most that the kernel grants by default. The length that std chooses is too short for
/// thousands of clients: a connection that does not fit is lost, and tried again after a second.
const BACKLOG: i32 = 4096;

/// A nonblocking listener, announced to the driver. Connections that come before the runtime is up
/// wait in its backlog.
fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Message::Listening { port }.send()?;
    Ok(listener)
}

/// As [`listen`], under a name that the load generator knows.
fn listen_unix() -> Result<UnixListener> {
    let listener = UnixListener::bind_addr(&unix_name(process::id())?)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Message::Listening { port: 0 }.send()?;
    Ok(listener)
}

/// A nonblocking socket, announced to the driver. It has room for a datagram of each client, which
/// would be lost otherwise.
fn bind_udp() -> Result<UdpSocket> {
    /// Where the kernel grants less, it is still enough for 512 short ones.
    const ROOM: usize = 1 << 20;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    set_socket_recv_buffer_size(&socket, ROOM)?;
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    Message::Listening { port }.send()?;
    Ok(socket)
}
