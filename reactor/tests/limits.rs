//! How long a test may take, and how many descriptors it may open. The integration tests have this
//! module too.

use std::fs::{read_dir, read_to_string};
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of descriptors, and ends the process if the current test takes longer than
/// `time` from now on: nothing else would end one that hangs, or tell which one it was.
pub(crate) fn begin(time: Duration) -> Watchdog {
    raise_descriptor_limit();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (alive, watched) = channel();
    thread::spawn(move || {
        if watched.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
            // Not by eprintln, whose text libtest would keep for a test that never ends.
            let _ = writeln!(std::io::stderr(), "{name} hangs: it has run for {time:?}\n{}", threads());
            std::process::abort();
        }
    });
    Watchdog { _alive: alive }
}

/// Watches a test until it is dropped.
#[must_use]
pub(crate) struct Watchdog {
    _alive: Sender<()>,
}

/// The threads of this process, each with the function of the kernel that it sleeps in, if it does,
/// and the number and the arguments of its system call.
fn threads() -> String {
    let threads = read_dir("/proc/self/task").into_iter().flatten().flatten();
    let about = |thread: std::fs::DirEntry| {
        let part = |file| read_to_string(thread.path().join(file)).unwrap_or_default().trim().to_owned();
        format!("  {}: {} ({})\n", part("comm"), part("wchan"), part("syscall"))
    };
    threads.map(about).collect()
}

/// Lets this process open as many descriptors as the largest tests need, where it may: 1,024 is a
/// usual default.
fn raise_descriptor_limit() {
    const WANTED: u64 = 8_192;
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(WANTED, |maximum| WANTED.min(maximum));
    if now.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..now }).unwrap();
    }
}
