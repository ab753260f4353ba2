//! read: random blocks, so many at once. The runtime's own tasks are the load; a thread beside them keeps the window.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use anyhow::Result;

use crate::blocks::{self, BLOCK_COUNT};
use crate::measure::{Latencies, Mark, Measurement, Window, latencies};

/// One read in so many is timed and its content checked. All of them would add to every runtime's cost alike, and so
/// flatten the ratios.
const SAMPLE: u64 = 16;

/// What a runtime is to do: let every one of `readers` read one block after the other from the file at
/// `path`, to be opened with O_DIRECT.
pub struct Reads {
    pub path: PathBuf,
    pub readers: Vec<Reader>,
}

/// Measures `run` with `depth` readers.
pub fn measure(path: &Path, depth: usize, window: Window, run: fn(Reads) -> Result<()>) -> Result<Measurement> {
    let tally =
        Arc::new(Tally { reads: AtomicU64::new(0), over: AtomicBool::new(false), latencies: Mutex::new(latencies()) });
    let keeper = thread::spawn({
        let tally = tally.clone();
        move || tally.keep(window)
    });
    let readers = (0..depth).map(|index| Reader::new(index, tally.clone()));
    run(Reads { path: path.to_owned(), readers: readers.collect() })?;
    keeper.join().expect("the keeper does not panic")
}

/// Chooses the blocks that one task or slot reads, and counts them.
pub struct Reader {
    random: fastrand::Rng,
    tally: Arc<Tally>,
}

/// A read under way.
pub struct Read {
    pub block: u64,
    sampled: Option<Instant>,
}

impl Reader {
    fn new(index: usize, tally: Arc<Tally>) -> Reader {
        Reader { random: fastrand::Rng::with_seed(index as u64), tally }
    }

    /// The next block to read; none once the window has closed.
    pub fn begin(&mut self) -> Option<Read> {
        if self.tally.over.load(Relaxed) {
            return None;
        }
        let chance = self.random.u64(..);
        let block = chance % BLOCK_COUNT;
        let sampled = (chance / BLOCK_COUNT).is_multiple_of(SAMPLE);
        Some(Read { block, sampled: sampled.then(Instant::now) })
    }

    /// # Panics
    ///
    /// If the content of a sampled block is not what was written there.
    pub fn end(&mut self, read: &Read, content: &[u8]) {
        // All readers count on one thread: no need for a locked addition.
        let reads = self.tally.reads.load(Relaxed);
        self.tally.reads.store(reads + 1, Relaxed);
        if let Some(began) = read.sampled {
            let latency = began.elapsed();
            assert!(blocks::is_block(read.block, content), "a wrong block");
            let mut latencies = self.tally.latencies.lock().expect("no reader panicked");
            latencies.saturating_record(latency.as_nanos() as u64);
        }
    }
}

struct Tally {
    reads: AtomicU64,
    over: AtomicBool,
    latencies: Mutex<Latencies>,
}

impl Tally {
    fn keep(&self, window: Window) -> Result<Measurement> {
        thread::sleep(window.warmup);
        self.latencies.lock().expect("no reader panicked").reset();
        let from = self.mark()?;
        thread::sleep(window.counted);
        let to = self.mark()?;
        self.over.store(true, Relaxed);
        let latencies = self.latencies.lock().expect("no reader panicked");
        Ok(Measurement::between(&from, &to, Some(&latencies)))
    }

    fn mark(&self) -> Result<Mark> {
        Ok(Mark::take(std::process::id(), self.reads.load(Relaxed))?)
    }
}
