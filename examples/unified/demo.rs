//! The demonstration: the server on this thread, its clients on another one, and what that came to.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::net::TcpListener;
use aio_runtime::time;
use futures::channel::oneshot;
use futures::future::try_join3;
use indicatif::{ProgressBar, ProgressStyle};

use crate::load::{self, Plan};
use crate::report::{self, Mark};
use crate::{content, server};

const FILE_MIB: u64 = 64;
const BLOCKS: u64 = FILE_MIB * (1 << 20) / server::BLOCK_SIZE as u64;
const CONNECTIONS: u64 = 64;
/// Long enough for the thread that opened the file to be gone when counting begins.
const WARM_UP: Duration = Duration::from_secs(1);
const COUNTED: Duration = Duration::from_secs(3);

pub(crate) async fn run() -> io::Result<()> {
    let content = content::make_file(BLOCKS)?;
    let path = format!("/proc/self/fd/{}", content.as_raw_fd());
    let file = server::open(Path::new(&path)).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let how = if file.alignment().is_some() { "with O_DIRECT" } else { "through the page cache" };
    println!("{CONNECTIONS} connections to {addr} ask for random blocks of a file of {FILE_MIB} MiB, read {how}.\n");
    aio_runtime::spawn(server::serve(listener, file));

    let from = Instant::now() + WARM_UP;
    let plan = Plan { addr, blocks: BLOCKS, connections: CONNECTIONS, from, until: from + COUNTED };
    let ((from, to), times, ()) = try_join3(mark_both_ends(plan), load(plan), show_progress(plan)).await?;
    if times.is_empty() {
        return Err(io::Error::other("no request was answered in time"));
    }
    report::print(&from, &to, &times);
    Ok(())
}

async fn mark_both_ends(plan: Plan) -> io::Result<(Mark, Mark)> {
    time::sleep_until(plan.from).await;
    let from = Mark::take()?;
    time::sleep_until(plan.until).await;
    Ok((from, Mark::take()?))
}

/// Runs the clients on a thread of their own.
async fn load(plan: Plan) -> io::Result<hdrhistogram::Histogram<u64>> {
    let (done, times) = oneshot::channel();
    thread::spawn(move || done.send(load::run(plan)));
    let gone = |_| io::Error::other("the clients' thread panicked");
    times.await.map_err(gone)?
}

/// On the runtime's own time: a progress bar that ticks by itself would be one thread more.
async fn show_progress(plan: Plan) -> io::Result<()> {
    let begin = Instant::now();
    let length = plan.until - begin;
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %").expect("a correct template");
    let bar = ProgressBar::new(length.as_millis() as u64).with_style(style);
    while begin.elapsed() < length {
        bar.set_position(begin.elapsed().as_millis() as u64);
        time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
    Ok(())
}
