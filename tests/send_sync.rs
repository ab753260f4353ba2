//! What the library hands out is `Send`, and `Sync` where tokio's is: checked when this is
//! compiled. What happens on other threads is in `other_threads.rs`.

#![allow(dead_code, reason = "compiled and never called")]

mod common;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::io::unix::{AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard};
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, Interest, Ready, Stderr, Stdin, Stdout};
use aio_runtime::net::pool::{Chunk, Pool};
use aio_runtime::net::{
    TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream, lookup_host, tcp,
    udp, unix,
};
use aio_runtime::task::{self, JoinError, JoinHandle};
use aio_runtime::time::{self, Duration, Instant, Sleep, Timeout};
use aio_runtime::{Core, Handle, Metrics, PerCore, runtime};
use common::run;

fn is_send<T: Send>(value: T) -> T {
    value
}

fn is_send_and_sync<T: Send + Sync>(value: T) -> T {
    value
}

const fn send_and_sync<T: Send + Sync>() {}

const _: () = {
    send_and_sync::<TcpListener>();
    send_and_sync::<TcpSocket>();
    send_and_sync::<TcpStream>();
    send_and_sync::<tcp::ReadHalf<'_>>();
    send_and_sync::<tcp::WriteHalf<'_>>();
    send_and_sync::<tcp::OwnedReadHalf>();
    send_and_sync::<tcp::OwnedWriteHalf>();
    send_and_sync::<tcp::ReuniteError>();
    send_and_sync::<UdpSocket>();
    send_and_sync::<udp::BatchSocket>();
    send_and_sync::<udp::Transmit<'_>>();
    send_and_sync::<udp::RecvMeta>();
    send_and_sync::<udp::Ecn>();
    send_and_sync::<UnixDatagram>();
    send_and_sync::<UnixListener>();
    send_and_sync::<UnixSocket>();
    send_and_sync::<UnixStream>();
    send_and_sync::<unix::ReadHalf<'_>>();
    send_and_sync::<unix::WriteHalf<'_>>();
    send_and_sync::<unix::OwnedReadHalf>();
    send_and_sync::<unix::OwnedWriteHalf>();
    send_and_sync::<unix::ReuniteError>();
    send_and_sync::<unix::SocketAddr>();
    send_and_sync::<unix::UCred>();
    send_and_sync::<unix::pipe::Sender>();
    send_and_sync::<unix::pipe::Receiver>();
    send_and_sync::<unix::pipe::OpenOptions>();
    send_and_sync::<AsyncFd<OwnedFd>>();
    send_and_sync::<AsyncFdReadyGuard<'_, OwnedFd>>();
    send_and_sync::<AsyncFdReadyMutGuard<'_, OwnedFd>>();
    send_and_sync::<Interest>();
    send_and_sync::<Pool>();
    send_and_sync::<Chunk>();
    send_and_sync::<Ready>();

    send_and_sync::<DuplexStream>();
    send_and_sync::<Stdin>();
    send_and_sync::<Stdout>();
    send_and_sync::<Stderr>();

    send_and_sync::<Core>();
    send_and_sync::<PerCore>();
    send_and_sync::<runtime::Stopped>();

    send_and_sync::<Sleep>();
    send_and_sync::<Timeout<Sleep>>();
    send_and_sync::<Instant>();
    send_and_sync::<time::error::Elapsed>();

    send_and_sync::<File>();
    send_and_sync::<OpenOptions>();
    send_and_sync::<Buf>();

    send_and_sync::<Handle>();
    send_and_sync::<Metrics>();
    send_and_sync::<JoinError>();
    send_and_sync::<JoinHandle<u8>>();
    send_and_sync::<task::YieldNow>();
};

async fn futures_of_sockets(stream: &mut TcpStream, listener: &TcpListener, addr: SocketAddr) {
    is_send_and_sync(TcpListener::bind(addr)).await.unwrap();
    is_send_and_sync(TcpStream::connect(addr)).await.unwrap();
    is_send_and_sync(TcpSocket::new_v4().unwrap().connect(addr)).await.unwrap();
    is_send_and_sync(listener.accept()).await.unwrap();
    is_send_and_sync(stream.readable()).await.unwrap();
    is_send_and_sync(stream.writable()).await.unwrap();
    is_send_and_sync(stream.peek(&mut [0])).await.unwrap();
    is_send_and_sync(stream.shutdown()).await.unwrap();
    is_send_and_sync(stream.read(&mut [0])).await.unwrap();
    is_send_and_sync(stream.write_all(&[0])).await.unwrap();
    // A name is looked up on the pool.
    is_send(TcpStream::connect("localhost:80")).await.unwrap();
    let _addresses = is_send_and_sync(is_send(lookup_host("localhost:80")).await.unwrap());
}

async fn futures_of_datagram_sockets(socket: &UdpSocket, addr: SocketAddr) {
    is_send_and_sync(UdpSocket::bind(addr)).await.unwrap();
    is_send_and_sync(socket.connect(addr)).await.unwrap();
    is_send_and_sync(socket.readable()).await.unwrap();
    is_send_and_sync(socket.writable()).await.unwrap();
    is_send_and_sync(socket.send(&[0])).await.unwrap();
    is_send_and_sync(socket.send_to(&[0], addr)).await.unwrap();
    is_send_and_sync(socket.recv(&mut [0])).await.unwrap();
    is_send_and_sync(socket.recv_from(&mut [0])).await.unwrap();
    is_send_and_sync(socket.recv_buf(&mut Vec::new())).await.unwrap();
    is_send_and_sync(socket.recv_buf_from(&mut Vec::new())).await.unwrap();
    is_send_and_sync(socket.peek(&mut [0])).await.unwrap();
    is_send_and_sync(socket.peek_from(&mut [0])).await.unwrap();
    is_send_and_sync(socket.peek_sender()).await.unwrap();
    // A name is looked up on the pool.
    is_send(socket.send_to(&[0], "localhost:80")).await.unwrap();
}

async fn futures_of_batch_sockets(socket: &udp::BatchSocket) {
    is_send_and_sync(socket.send_many(&[])).await.unwrap();
    is_send_and_sync(socket.recv_many(&mut [], &mut [])).await.unwrap();
}

async fn futures_of_unix_datagram_sockets(socket: &UnixDatagram, path: &Path) {
    is_send_and_sync(socket.send(&[0])).await.unwrap();
    is_send_and_sync(socket.send_to(&[0], path)).await.unwrap();
    is_send_and_sync(socket.recv(&mut [0])).await.unwrap();
    is_send_and_sync(socket.recv_from(&mut [0])).await.unwrap();
    is_send_and_sync(socket.send_with_fds(&[0], &[])).await.unwrap();
    is_send_and_sync(socket.send_to_with_fds(&[0], &[], path)).await.unwrap();
    is_send_and_sync(socket.recv_with_fds(&mut [0])).await.unwrap();
    is_send_and_sync(socket.recv_from_with_fds(&mut [0])).await.unwrap();
}

async fn futures_of_unix_sockets(listener: &UnixListener, path: &Path) {
    let (stream, _) = UnixStream::pair().unwrap();
    is_send_and_sync(stream.send_with_fds(&[0], &[])).await.unwrap();
    is_send_and_sync(stream.recv_with_fds(&mut [0])).await.unwrap();
    is_send_and_sync(UnixStream::connect(path)).await.unwrap();
    is_send_and_sync(UnixSocket::new_stream().unwrap().connect(path)).await.unwrap();
    is_send_and_sync(listener.accept()).await.unwrap();
}

async fn futures_of_time() {
    is_send_and_sync(time::sleep(Duration::ZERO)).await;
    is_send_and_sync(time::timeout(Duration::ZERO, async {})).await.unwrap();
    is_send_and_sync(task::yield_now()).await;
}

async fn futures_of_files(file: File, path: &Path) -> io::Result<()> {
    is_send(File::open(path)).await?;
    is_send(File::create(path)).await?;
    is_send(OpenOptions::new().read(true).open(path)).await?;
    is_send(file.read_at(vec![0; 1], 0)).await.0?;
    is_send(file.read_exact_at(vec![0; 1], 0)).await.0?;
    is_send(file.write_at(vec![0; 1], 0)).await.0?;
    is_send(file.write_all_at(vec![0; 1], 0)).await.0?;
    is_send(file.sync_all()).await?;
    is_send(file.sync_data()).await?;
    is_send(file.set_len(0)).await?;
    is_send(file.metadata()).await?;
    Ok(())
}

/// What `tokio::spawn` would take, `Handle::spawn` takes from any thread.
fn tasks(handle: &Handle, stream: TcpStream) -> JoinHandle<io::Result<()>> {
    handle.spawn(async move {
        let (mut read, mut write) = stream.into_split();
        time::sleep(Duration::from_millis(1)).await;
        let mut byte = [0];
        read.read_exact(&mut byte).await?;
        write.write_all(&byte).await
    })
}

#[test]
fn a_future_made_elsewhere_sleeps_and_does_io_in_the_runtime() {
    run(async {
        let handle = Handle::current();
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let task = std::thread::spawn(move || {
            handle.spawn(async move {
                time::sleep(Duration::from_millis(1)).await;
                near.write_all(b"x").await
            })
        });
        task.join().unwrap().await.unwrap().unwrap();
        far.read_exact(&mut [0]).await.unwrap();
    });
}
