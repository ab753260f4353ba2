//! read, write, buffered: random blocks of a file, many at once. The runtime's own tasks are the
//! load; a thread of its own opens and closes the window.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::blocks::{self, Access, BLOCK_COUNT, Block};
use crate::measure::{Gauge, Latencies, Measurement, Window, latencies};

/// One transfer in this many is timed, and its content checked. To do so for all would add the same
/// cost to every runtime, and bring the ratios closer to 1.
const SAMPLE: u64 = 16;

/// What a runtime is to do: let each of `readers` read one block after the other from the file at
/// `path`.
pub struct Reads {
    pub path: PathBuf,
    /// [`Access::DirectRead`] or [`Access::CachedRead`].
    pub access: Access,
    pub readers: Vec<Reader>,
}

/// What a runtime is to do: let each of `writers` write one block after the other to the file at
/// `path`, opened with O_DIRECT.
pub struct Writes {
    pub path: PathBuf,
    pub writers: Vec<Writer>,
}

/// Measures `run` with `depth` readers.
pub fn measure_reads(
    path: &Path,
    access: Access,
    depth: usize,
    window: Window,
    run: fn(Reads) -> Result<()>,
) -> Result<Measurement> {
    let tally = Tally::new();
    let keeper = tally.keep(window);
    let readers = (0..depth).map(|index| Reader::new(index, tally.clone()));
    run(Reads { path: path.to_owned(), access, readers: readers.collect() })?;
    keeper.join().expect("the keeper does not panic")
}

/// Measures `run` with `depth` writers, then checks that the file has what they have written.
pub fn measure_writes(path: &Path, depth: usize, window: Window, run: fn(Writes) -> Result<()>) -> Result<Measurement> {
    let tally = Tally::new();
    let keeper = tally.keep(window);
    let writers = (0..depth).map(|index| Writer::new(index, depth, tally.clone()));
    run(Writes { path: path.to_owned(), writers: writers.collect() })?;
    let measurement = keeper.join().expect("the keeper does not panic")?;
    tally.find_written(path)?;
    Ok(measurement)
}

/// Chooses the blocks that one task reads, and counts them.
pub struct Reader {
    random: fastrand::Rng,
    tally: Arc<Tally>,
}

/// A read in flight.
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
        if self.tally.is_over() {
            return None;
        }
        let chance = self.random.u64(..);
        Some(Read { block: chance % BLOCK_COUNT, sampled: sample(chance / BLOCK_COUNT) })
    }

    /// # Panics
    ///
    /// If the content of a sampled block is wrong.
    pub fn end(&mut self, read: &Read, content: &[u8]) {
        self.tally.count();
        if let Some(began) = read.sampled {
            self.tally.record(began);
            assert!(blocks::is_block(read.block, content), "the read returned a wrong block");
        }
    }
}

/// Chooses the blocks that one task writes, stamps and counts them.
///
/// No two writers write the same block, so each knows what its blocks hold.
pub struct Writer {
    random: fastrand::Rng,
    index: u64,
    writers: u64,
    /// The number of the last write.
    generation: u64,
    tally: Arc<Tally>,
}

/// A write in flight.
pub struct Write {
    pub block: u64,
    generation: u64,
    sampled: Option<Instant>,
}

impl Writer {
    fn new(index: usize, writers: usize, tally: Arc<Tally>) -> Writer {
        let random = fastrand::Rng::with_seed(index as u64);
        Writer { random, index: index as u64, writers: writers as u64, generation: 0, tally }
    }

    /// The next block to write, whose content it puts into `content`; none once the window has
    /// closed.
    pub fn begin(&mut self, content: &mut [u8]) -> Option<Write> {
        if self.tally.is_over() {
            return None;
        }
        let chance = self.random.u64(..);
        let block = chance % (BLOCK_COUNT / self.writers) * self.writers + self.index;
        self.generation += 1;
        blocks::stamp_sectors(block, self.generation, content);
        Some(Write { block, generation: self.generation, sampled: sample(chance / BLOCK_COUNT) })
    }

    /// To be called when the whole block has been written.
    pub fn end(&mut self, write: &Write) {
        self.tally.count();
        if let Some(began) = write.sampled {
            self.tally.record(began);
            let mut written = self.tally.written.lock().expect("no writer panicked");
            written.push((write.block, write.generation));
        }
    }
}

fn sample(chance: u64) -> Option<Instant> {
    chance.is_multiple_of(SAMPLE).then(Instant::now)
}

/// What all readers or writers of a run share.
struct Tally {
    transfers: AtomicU64,
    over: AtomicBool,
    latencies: Mutex<Latencies>,
    /// The sampled blocks, each with a generation that was written there.
    written: Mutex<Vec<(u64, u64)>>,
}

impl Tally {
    fn new() -> Arc<Tally> {
        Arc::new(Tally {
            transfers: AtomicU64::new(0),
            over: AtomicBool::new(false),
            latencies: Mutex::new(latencies()),
            written: Mutex::default(),
        })
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    fn count(&self) {
        // All count on one thread, so the addition need not be atomic.
        let transfers = self.transfers.load(Relaxed);
        self.transfers.store(transfers + 1, Relaxed);
    }

    fn record(&self, began: Instant) {
        let latency = began.elapsed();
        let mut latencies = self.latencies.lock().expect("nobody panicked");
        latencies.saturating_record(latency.as_nanos() as u64);
    }

    /// Starts the thread that opens and closes the window.
    fn keep(self: &Arc<Self>, window: Window) -> JoinHandle<Result<Measurement>> {
        let tally = self.clone();
        let gauge = Gauge::of(std::process::id(), window);
        thread::spawn(move || {
            thread::sleep(window.warmup);
            tally.latencies.lock().expect("nobody panicked").reset();
            let from = gauge.mark(tally.transfers.load(Relaxed))?;
            thread::sleep(window.counted);
            let to = gauge.mark(tally.transfers.load(Relaxed))?;
            tally.over.store(true, Relaxed);
            let latencies = tally.latencies.lock().expect("nobody panicked");
            gauge.measure(&from, &to, Some(&latencies))
        })
    }

    fn find_written(&self, path: &Path) -> Result<()> {
        let file = blocks::open(path, Access::DirectRead)?;
        let mut content = Block::zeroed();
        let written = self.written.lock().expect("no writer panicked");
        ensure!(!written.is_empty(), "nothing was written");
        let sparse = written.len().div_ceil(256);
        for &(block, generation) in written.iter().step_by(sparse) {
            blocks::read(&file, block, &mut content)?;
            // The same writer may have written the block again since.
            ensure!(
                blocks::generation(block, &content).is_some_and(|found| found >= generation),
                "block {block} does not hold what was written"
            );
        }
        Ok(())
    }
}
