//! Pairs of connected ends: sockets, pipes, and descriptors that are waited for by `AsyncFd`. What
//! is read is checked byte by byte, wherever a read or a write was dropped: a byte is a function of
//! the stream and its position.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::Sender;

use aio_runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, Ready};
use aio_runtime::net::pool::{Chunk, Pool, PooledRead};
use aio_runtime::net::unix::pipe;
use aio_runtime::net::{TcpListener, TcpStream, UnixStream, tcp, unix};
use aio_runtime::task::{spawn_blocking, yield_now};
use aio_runtime::time::timeout;
use aio_runtime::{Builder, spawn};

use crate::any_fd;
use crate::random::{Random, byte};
use crate::world::PATIENCE;

/// What goes to another thread to be dropped there.
pub(crate) type Dropper = Sender<Box<dyn Send>>;

/// An end that reads, of any kind.
trait Reader: AsyncRead + Unpin + Send + 'static {
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>>;
    /// `None` if this kind has no such read.
    fn peek(&mut self, buf: &mut [u8]) -> impl Future<Output = Option<io::Result<usize>>>;
    /// The same.
    fn read_pooled(&self, pool: &Pool) -> impl Future<Output = Option<io::Result<Chunk>>>;
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;
}

/// An end that writes, of any kind.
trait Writer: AsyncWrite + Unpin + Send + 'static {
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>>;
    fn try_write(&self, buf: &[u8]) -> io::Result<usize>;
}

macro_rules! ends {
    ($read:ty, $write:ty, |$reader:ident, $buf:ident, $pool:ident| peek: $peek:expr, read_pooled: $read_pooled:expr) => {
        impl Reader for $read {
            async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.ready(interest).await
            }
            async fn peek(&mut self, $buf: &mut [u8]) -> Option<io::Result<usize>> {
                let $reader = self;
                $peek
            }
            async fn read_pooled(&self, $pool: &Pool) -> Option<io::Result<Chunk>> {
                let $reader = self;
                $read_pooled
            }
            fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.try_read(buf)
            }
        }
        impl Writer for $write {
            async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.ready(interest).await
            }
            fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.try_write(buf)
            }
        }
    };
}

macro_rules! sockets {
    ($read:ty, $write:ty) => {
        ends!($read, $write, |reader, buf, pool|
            peek: Some(reader.peek(buf).await),
            read_pooled: Some(PooledRead::read_pooled(reader, pool).await));
    };
}

sockets!(tcp::OwnedReadHalf, tcp::OwnedWriteHalf);
sockets!(unix::OwnedReadHalf, unix::OwnedWriteHalf);
ends!(pipe::Receiver, pipe::Sender, |reader, _buf, pool|
    peek: { let _ = reader; None },
    read_pooled: Some(PooledRead::read_pooled(reader, pool).await));
ends!(any_fd::ReadSide, any_fd::WriteSide, |reader, _buf, _pool|
    peek: { let _ = reader; None },
    read_pooled: { let _ = reader; None });

/// One connection after another.
pub(crate) async fn connections(random: Rc<Random>, dropper: Dropper) {
    while random.next_op() {
        let number = random.below(1 << 30) as u64;
        if random.one_in(6) {
            let ((a, b), (c, d)) = (pipe::pipe().unwrap(), pipe::pipe().unwrap());
            connection(&random, &dropper, number, (b, c), (d, a)).await;
        } else if random.one_in(6) {
            let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
            connection(&random, &dropper, number, any_fd::sides(near), any_fd::sides(far)).await;
        } else if random.one_in(2) {
            let (near, mut far) = UnixStream::pair().unwrap();
            if random.one_in(4) {
                // To std and back, perhaps with a poll in the kernel.
                random.perhaps(far.readable()).await;
                far = UnixStream::from_std(far.into_std().unwrap()).unwrap();
            }
            let ((a, b), (c, d)) = (near.into_split(), far.into_split());
            connection(&random, &dropper, number, (a, b), (c, d)).await;
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut far, _) = listener.accept().await.unwrap();
            if random.one_in(50) {
                emigrates(&random, near, far, number).await;
                continue;
            }
            if random.one_in(4) {
                random.perhaps(far.readable()).await;
                far = TcpStream::from_std(far.into_std().unwrap()).unwrap();
            }
            let ((a, b), (c, d)) = (near.into_split(), far.into_split());
            connection(&random, &dropper, number, (a, b), (c, d)).await;
        }
    }
}

/// One end moves to another thread's runtime with a poll in the kernel, is read there to its end,
/// and is then in that runtime when it goes.
async fn emigrates(random: &Random, mut near: TcpStream, far: TcpStream, stream: u64) {
    random.perhaps(far.readable()).await;
    let far = far.into_std().unwrap();
    let reads = spawn_blocking(move || {
        let runtime = Builder::new().capacity(16).build().unwrap();
        runtime.block_on(async {
            let mut far = TcpStream::from_std(far).unwrap();
            let mut received = Vec::new();
            timeout(PATIENCE, far.read_to_end(&mut received)).await.expect("the other end is closed").unwrap();
            check(stream, 0, &received);
            drop(spawn(async move { far.readable().await }));
            yield_now().await;
            received.len()
        })
    });
    let bytes: Vec<u8> = (0..random.below(100_000) as u64).map(|at| byte(stream, at)).collect();
    let mut sent = 0;
    for _ in 0..4 {
        if let Some(wrote) = random.perhaps(near.write(&bytes[sent..])).await {
            sent += wrote.unwrap();
        }
    }
    drop(near);
    assert_eq!(reads.await.unwrap(), sent, "stream {stream}: as many bytes as were sent");
}

/// What the four tasks of a connection share.
#[derive(Clone)]
struct Shared {
    random: Rc<Random>,
    dropper: Dropper,
    /// No task has been ended before its time. Otherwise a close with unread data resets the
    /// connection, and the other side loses what it has not read.
    is_whole: Rc<Cell<bool>>,
    /// No task will be, so that each wait ends by itself.
    is_calm: bool,
}

impl Shared {
    /// Runs an operation to its end, or drops it on the way. One that is only dropped or retried
    /// ends without being woken as well.
    async fn perhaps<F: Future>(&self, operation: F) -> Option<F::Output> {
        if self.is_calm && self.random.one_in(3) { Some(operation.await) } else { self.random.perhaps(operation).await }
    }
}

async fn connection<R: Reader, W: Writer>(
    random: &Rc<Random>,
    dropper: &Dropper,
    number: u64,
    (read_near, write_near): (R, W),
    (read_far, write_far): (R, W),
) {
    let ops = random.below(400);
    let abrupt = random.one_in(3);
    let shared = Shared {
        random: Rc::clone(random),
        dropper: dropper.clone(),
        is_whole: Rc::new(Cell::new(true)),
        is_calm: !abrupt && random.one_in(2),
    };
    let sides = [(write_near, read_far, 2 * number), (write_far, read_near, 2 * number + 1)];
    let mut tasks = Vec::new();
    for (write, read, stream) in sides {
        let sent = Rc::new(Cell::new(0));
        tasks.push(spawn(writes(shared.clone(), write, stream, Rc::clone(&sent), ops)));
        tasks.push(spawn(reads(shared.clone(), read, stream, sent)));
    }
    for task in tasks {
        if abrupt && random.one_in(2) {
            shared.is_whole.set(false);
            task.abort();
            let _ = task.await;
        } else {
            timeout(PATIENCE, task).await.expect("a connection ends").unwrap();
        }
    }
}

/// Writes, by all means, and says how much.
async fn writes<W: Writer>(shared: Shared, mut write: W, stream: u64, sent: Rc<Cell<u64>>, ops: usize) {
    let Shared { random, dropper, is_whole, is_calm } = &shared;
    let mut position = 0_u64;
    for _ in 0..ops {
        if random.is_over() {
            break;
        }
        let len = if random.one_in(20) { random.below(300_000) } else { random.below(5_000) };
        let bytes: Vec<u8> = (position..position + len as u64).map(|at| byte(stream, at)).collect();
        let wrote = match random.below(4) {
            0 => Some(write.try_write(&bytes)),
            1 => {
                random.next_op();
                let ready = shared.perhaps(write.ready(Interest::WRITABLE)).await;
                assert!(ready.is_none_or(|ready| ready.is_ok_and(Ready::is_writable)), "stream {stream}");
                None
            }
            _ => {
                random.next_op();
                shared.perhaps(write.write(&bytes)).await
            }
        };
        match wrote {
            Some(Ok(wrote)) => {
                position += wrote as u64;
                sent.set(position);
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Some(Err(error)) => {
                assert!(!is_whole.get(), "stream {stream}: {error}, and the reader has not gone");
                return;
            }
            None => {}
        }
    }
    match random.below(8) {
        0 | 1 => drop(dropper.send(Box::new(write))),
        2..=4 => drop(write.close().await),
        5 if !is_calm => {
            // How much of it is written is not known here.
            is_whole.set(false);
            let bytes: Vec<u8> = (position..position + 100_000).map(|at| byte(stream, at)).collect();
            let wait = async move { write.write(&bytes).await };
            random.perhaps_elsewhere(dropper, wait).await;
        }
        _ => {}
    }
}

/// Reads, by all means, to the end, and checks all of it.
async fn reads<R: Reader>(shared: Shared, mut read: R, stream: u64, sent: Rc<Cell<u64>>) {
    let Shared { random, dropper, is_whole, is_calm } = &shared;
    let mut position = 0_u64;
    let mut room = vec![0; 1 << 16];
    let pool = Pool::keep(5_000, 2);
    loop {
        let len = 1 + if random.one_in(20) { random.below(room.len()) } else { random.below(5_000) };
        let buf = &mut room[..len];
        let got = match random.below(9) {
            0 => Some(read.try_read(buf)),
            1 => {
                random.next_op();
                let ready = shared.perhaps(read.ready(Interest::READABLE)).await;
                assert!(ready.is_none_or(|ready| ready.is_ok_and(Ready::is_readable)), "stream {stream}");
                None
            }
            2 => {
                random.next_op();
                if let Some(Some(Ok(peeked))) = shared.perhaps(read.peek(buf)).await {
                    check(stream, position, &buf[..peeked]);
                }
                None
            }
            3 => {
                random.next_op();
                let chunk = shared.perhaps(read.read_pooled(&pool)).await.flatten();
                chunk.map(|chunk| {
                    let chunk = chunk?;
                    room[..chunk.len()].copy_from_slice(&chunk);
                    Ok(chunk.len())
                })
            }
            _ => {
                random.next_op();
                shared.perhaps(read.read(buf)).await
            }
        };
        match got {
            Some(Ok(0)) => break,
            Some(Ok(len)) => {
                check(stream, position, &room[..len]);
                position += len as u64;
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Some(Err(error)) => {
                assert!(!is_whole.get(), "stream {stream}: {error}");
                return;
            }
            // The poll that was left behind is waited for as a rule, and must wake this one. It
            // ends with the writer at the latest.
            None if !random.one_in(4) => {
                let _ = read.ready(Interest::READABLE).await;
            }
            None => {}
        }
        if !is_calm && random.one_in(500) {
            // Closed with the peer still writing, here or elsewhere, there perhaps while it waits.
            is_whole.set(false);
            match random.below(3) {
                0 => drop(read),
                1 => drop(dropper.send(Box::new(read))),
                _ => {
                    let wait = async move { read.read(&mut [0; 100]).await };
                    random.perhaps_elsewhere(dropper, wait).await;
                }
            }
            return;
        }
    }
    if is_whole.get() {
        assert_eq!(position, sent.get(), "stream {stream}: as many bytes as were sent");
    }
}

fn check(stream: u64, position: u64, bytes: &[u8]) {
    for (at, found) in (position..).zip(bytes) {
        assert_eq!(*found, byte(stream, at), "stream {stream}, byte {at}");
    }
}
