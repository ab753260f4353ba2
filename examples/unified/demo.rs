//! The demonstration: each server in turn on a thread of its own, and all its clients on this one.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::time;
use futures::channel::oneshot;
use futures::future::try_join;

use crate::load::{self, Plan};
use crate::report::{self, Mark, Measured};
use crate::{content, server, tokio_server};

const FILE_MIB: u64 = 64;
const BLOCKS: u64 = FILE_MIB * (1 << 20) / server::BLOCK_SIZE as u64;
const CONNECTIONS: u64 = 64;
/// Of each server, in turns, so that what else the machine does meets all of them.
const ROUNDS: usize = 2;
/// Long enough for the threads of the round before to have ended: the blocking pool's live half a
/// second without work.
const WARM_UP: Duration = Duration::from_millis(600);
const COUNTED: Duration = Duration::from_secs(1);

pub(crate) struct Server {
    name: &'static str,
    /// Serves the blocks of a file on this thread, until the channel closes.
    run: fn(TcpListener, File, oneshot::Receiver<()>) -> io::Result<()>,
}

pub(crate) const AIO_RUNTIME: Server = Server { name: "aio-runtime", run: server::run };
pub(crate) const TOKIO: Server = Server { name: "tokio", run: tokio_server::run };

pub(crate) async fn run(servers: &[Server]) -> Result<(), String> {
    let (file, direct) = make_file().await.map_err(|error| format!("cannot make a file to serve: {error}"))?;
    let how = if direct { "with O_DIRECT" } else { "through the page cache" };
    println!("{CONNECTIONS} connections ask for random 4 KiB blocks of a file of {FILE_MIB} MiB, read {how}.");
    if !direct {
        println!("The file system here has no O_DIRECT. Run this in a directory on ext4, xfs or btrfs.");
    }
    eprint!("Measuring");
    let mut measured: Vec<_> = servers.iter().map(|server| (server.name, Measured::default())).collect();
    for round in 0..ROUNDS {
        // A B, then B A: neither always comes after the other.
        let mut turns: Vec<_> = servers.iter().zip(&mut measured).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (server, (name, sum)) in turns {
            eprint!(" {name} ...");
            sum.add(measure(server, &file).await.map_err(|error| format!("{name}: {error}"))?);
        }
    }
    eprintln!("\n");
    report::print(&measured);
    Ok(())
}

/// The file to serve, opened with `O_DIRECT` if that is possible, and whether it is.
async fn make_file() -> io::Result<(File, bool)> {
    let content = content::make_file(BLOCKS)?;
    let file = server::open(format!("/proc/self/fd/{}", content.as_raw_fd()).as_ref()).await?;
    let direct = file.alignment().is_some();
    Ok((file.try_into_std().expect("nothing reads it yet"), direct))
}

/// One round of one server.
async fn measure(server: &Server, file: &File) -> io::Result<Measured> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let (run, file) = (server.run, file.try_clone()?);
    let server = thread::spawn(move || run(listener, file, stopped));

    let from = Instant::now() + WARM_UP;
    let plan = Plan { addr, blocks: BLOCKS, connections: CONNECTIONS, from, until: from + COUNTED };
    let loaded = try_join(load::run(plan), mark_both_ends(plan)).await;
    drop(stop);
    // If the server failed, its error says more than the clients'.
    server.join().expect("the server does not panic")?;
    let (latencies, (from, to)) = loaded?;
    if latencies.is_empty() {
        return Err(io::Error::other("no request was answered in time"));
    }
    Ok(Measured::between(&from, &to, latencies))
}

async fn mark_both_ends(plan: Plan) -> io::Result<(Mark, Mark)> {
    time::sleep_until(plan.from.into()).await;
    let from = Mark::take()?;
    time::sleep_until(plan.until.into()).await;
    Ok((from, Mark::take()?))
}
