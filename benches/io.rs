//! The loop with the kernel: polls that become ready, direct reads.

mod common;

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Instant;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::{Builder, Runtime, spawn, task};
use criterion::{BenchmarkId, Criterion, Throughput};
use futures::future::{join, join_all, try_join_all};

fn main() -> io::Result<()> {
    let mut criterion = common::criterion();
    polls(&mut criterion)?;
    direct_reads(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// Sockets that are waited for before the byte comes: arm, write, complete, read.
fn polls(criterion: &mut Criterion) -> io::Result<()> {
    // Each yield is a turn of the loop, which submits the polls.
    let runtime = Builder::new().event_interval(1).build()?;
    let mut group = criterion.benchmark_group("poll");
    for sockets in [1, 64] {
        let pairs = runtime.block_on(try_join_all((0..sockets).map(|_| pair())))?;
        let (mut near, mut far): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        group.throughput(Throughput::Elements(sockets));
        group.bench_function(BenchmarkId::new("arm and complete", sockets), |bencher| {
            common::rounds(bencher, &runtime, async || {
                let reads = join_all(far.iter_mut().map(read_some));
                let writes = async {
                    task::yield_now().await;
                    for stream in &mut near {
                        stream.write_all(b"!").await.expect("a byte is sent");
                    }
                };
                join(reads, writes).await;
            });
        });
    }
    group.finish();
    Ok(())
}

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    near.set_nodelay(true)?;
    let (far, _) = listener.accept().await?;
    Ok((near, far))
}

/// Falls short, so that the next one waits without trying first.
async fn read_some(stream: &mut TcpStream) {
    let read = stream.read(&mut [0; 64]).await;
    assert_eq!(read.expect("a byte is received"), 1);
}

const BLOCK_SIZE: usize = 4096;
/// 64 MiB.
const BLOCKS_LOG2: u32 = 14;

fn direct_reads(criterion: &mut Criterion) -> io::Result<()> {
    let runtime = Runtime::new()?;
    // Without a name, in the current directory: the one for temporary files is often in memory.
    let mut content = tempfile::tempfile_in(".")?;
    for _ in 0..1_u64 << BLOCKS_LOG2 {
        content.write_all(&[0xA5; BLOCK_SIZE])?;
    }
    content.sync_all()?;
    let path = format!("/proc/self/fd/{}", content.as_raw_fd());
    let file = runtime.block_on(OpenOptions::new().read(true).direct(true).open(path))?;
    let file = Rc::new(file);

    let mut group = criterion.benchmark_group("read");
    for depth in [1, 32, 128] {
        group.throughput(Throughput::Elements(depth));
        group.bench_function(BenchmarkId::new("4 KiB with O_DIRECT", depth), |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let reader = |index| spawn(read_blocks(Rc::clone(&file), index << 32, times));
                    let begin = Instant::now();
                    for reader in (0..depth).map(reader).collect::<Vec<_>>() {
                        reader.await.expect("no panic");
                    }
                    begin.elapsed()
                })
            });
        });
    }
    group.finish();
    Ok(())
}

async fn read_blocks(file: Rc<File>, first: u64, times: u64) {
    let mut buf = Buf::aligned(BLOCK_SIZE, BLOCK_SIZE);
    for seed in first..first + times {
        // Multiplied by the golden ratio, numbers scatter; the upper bits do so best.
        let block = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - BLOCKS_LOG2);
        let (read, returned) = file.read_exact_at(buf, block * BLOCK_SIZE as u64).await;
        read.expect("the block is there");
        buf = returned;
    }
}
