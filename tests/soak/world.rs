//! One runtime with its actors, from its beginning to its end, and what it leaves behind.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, Metrics, spawn};

use crate::failure;
use crate::files::Files;
use crate::memory::Poisoned;
use crate::random::Random;
use crate::{actors, crowds, streams};

/// How long what has to happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The reactor's own: the poll of its eventfd, and that of its epoll.
const OWN_POLLS: u64 = 2;

/// What is asked of the program.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) ops: Option<u64>,
    pub(crate) per_world: u64,
    pub(crate) capacity: Option<u32>,
}

pub(crate) struct World {
    number: u64,
    capacity: u32,
    comes_to_rest: bool,
    random: Rc<Random>,
    before: Held,
}

impl World {
    pub(crate) fn new(plan: &Plan, number: u64, ops: u64) -> Self {
        failure::note_world(number);
        let random = Rc::new(Random::new(plan.seed.wrapping_add(number), ops));
        let capacity = plan.capacity.unwrap_or([1, 16, 64, 1000, 3000][random.below(5)]);
        let comes_to_rest = !random.one_in(3);
        Self { number, capacity, comes_to_rest, random, before: Held::now() }
    }

    /// Runs the world's share of operations.
    ///
    /// # Panics
    ///
    /// If a byte was wrong, or something was left behind.
    pub(crate) fn run(self, totals: &mut Totals) {
        println!("world {}: capacity {}, comes to rest: {}", self.number, self.capacity, self.comes_to_rest);
        let dir = tempfile::tempdir_in(scratch()).unwrap();
        let (dropper, dropped) = channel::<Box<dyn Send>>();
        let drops = thread::spawn(move || dropped.into_iter().for_each(drop));
        let poisoned = Rc::new(Poisoned::default());
        let all_files = Rc::new(RefCell::new(Vec::new()));
        let runtime = Builder::new().capacity(self.capacity).build().unwrap();
        runtime.block_on(async {
            let random = &self.random;
            let mut tasks = Vec::new();
            for _ in 0..8 {
                tasks.push(spawn(streams::connections(Rc::clone(random), dropper.clone())));
                tasks.push(spawn(actors::tasks(Rc::clone(random), dropper.clone())));
            }
            for number in 0..24 {
                let files = Files::new(random, &dropper, dir.path(), &poisoned, &all_files);
                tasks.push(spawn(files.run(number % 2 == 0)));
            }
            tasks.push(spawn(actors::listeners(Rc::clone(random), dropper.clone())));
            tasks.push(spawn(crowds::crowds(Rc::clone(random), self.capacity as usize)));
            if self.comes_to_rest {
                for task in tasks {
                    task.await.unwrap();
                }
                assert_at_rest().await;
            } else {
                while !random.is_over() {
                    sleep(Duration::from_micros(500)).await;
                }
            }
        });
        totals.add(&runtime.metrics());
        // With everything in flight, perhaps.
        drop(runtime);
        poisoned.take_all();
        drop(dropper);
        drops.join().unwrap();
        self.before.assert_nothing_is_left();
        poisoned.assert_all_unchanged();
        all_files.borrow().iter().for_each(|contents| contents.check_all());
    }
}

async fn assert_at_rest() {
    let begin = Instant::now();
    loop {
        let now = Handle::current().metrics();
        if now.slots_in_use <= OWN_POLLS && (now.orphans, now.overflow_fds, now.tasks) == (0, 0, 0) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "it does not come to rest: {now:#?}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// What the process holds in the kernel.
struct Held {
    /// Descriptors, with what they stand for.
    open: BTreeSet<(PathBuf, PathBuf)>,
    /// AIO contexts. The kernel takes their share of fs.aio-nr and their mapping back together, and
    /// fs.aio-nr itself says nothing here: other processes' contexts come and go in it.
    contexts: usize,
}

impl Held {
    fn now() -> Self {
        let links: Vec<_> = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path()).collect();
        // One of them was that of the directory.
        let open = links.into_iter().filter_map(|link| Some((link.clone(), std::fs::read_link(link).ok()?))).collect();
        let contexts = std::fs::read_to_string("/proc/self/maps").unwrap().matches("[aio]").count();
        Self { open, contexts }
    }

    /// Waits until no more is held than was before. A context lingers in the library's pool first.
    fn assert_nothing_is_left(&self) {
        let begin = Instant::now();
        loop {
            let now = Self::now();
            // Closed by a stray close: a number that was reused.
            let gone: Vec<_> = self.open.difference(&now.open).collect();
            assert!(gone.is_empty(), "closed, though it was not ours: {gone:?}");
            if now.open == self.open && now.contexts == self.contexts {
                return;
            }
            let left: Vec<_> = now.open.difference(&self.open).collect();
            let contexts = now.contexts;
            assert!(begin.elapsed() < PATIENCE, "left behind: {left:?} open, {contexts} AIO contexts");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What all worlds have done, as a soak finds nothing where it does not come.
#[derive(Default)]
pub(crate) struct Totals {
    polls: u64,
    skipped: u64,
    demoted: u64,
    cancels: u64,
    growths: u64,
    file_requests: u64,
    on_the_pool: u64,
}

impl Totals {
    fn add(&mut self, world: &Metrics) {
        self.polls += world.submitted_polls;
        self.skipped += world.polls_skipped;
        self.demoted += world.polls_demoted;
        self.cancels += world.cancels;
        self.growths += world.growths;
        self.file_requests += world.submitted_reads + world.submitted_writes + world.submitted_syncs;
        self.on_the_pool += world.pool_misses + world.pool_extending + world.pool_unsupported + world.pool_large;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { polls, skipped, demoted, cancels, growths, file_requests, on_the_pool } = self;
        write!(f, "{polls} polls ({skipped} skipped, {demoted} demoted), {cancels} cancels, {growths} growths; ")?;
        write!(f, "{file_requests} file requests, {on_the_pool} on the pool")
    }
}

/// The AIO requests that all processes of the host hold.
pub(crate) fn aio_nr() -> u64 {
    std::fs::read_to_string("/proc/sys/fs/aio-nr").unwrap().trim().parse().unwrap()
}

/// A directory on a file system with `O_DIRECT`: that of the build, as a rule, where this program
/// is.
fn scratch() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| std::env::current_exe().unwrap().with_file_name(""), PathBuf::from)
}
