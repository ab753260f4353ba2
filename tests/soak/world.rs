//! One runtime with its actors, from its beginning to its end, and what it leaves behind.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, spawn};

use crate::failure;
use crate::random::Random;
use crate::{actors, files, streams};

/// How long what was dropped may take to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// The reactor's own: the poll of its eventfd, and that of its epoll.
const OWN_POLLS: u64 = 2;

/// What is asked of the program.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) ops: u64,
    pub(crate) per_world: u64,
    pub(crate) capacity: Option<u32>,
}

pub(crate) struct World {
    number: u64,
    capacity: u32,
    comes_to_rest: bool,
    random: Rc<Random>,
    open_before: BTreeSet<(PathBuf, PathBuf)>,
    quota_before: u64,
}

impl World {
    pub(crate) fn new(plan: &Plan, number: u64, ops: u64) -> Self {
        failure::note_world(number);
        let random = Rc::new(Random::new(plan.seed.wrapping_add(number), ops));
        let capacity = plan.capacity.unwrap_or([1, 16, 64, 1000][random.below(4)]);
        let comes_to_rest = !random.one_in(3);
        Self { number, capacity, comes_to_rest, random, open_before: open_files(), quota_before: quota() }
    }

    /// Runs the world's share of operations.
    ///
    /// # Panics
    ///
    /// If a byte was wrong, or something was left behind.
    pub(crate) fn run(self) {
        println!("world {}: capacity {}, comes to rest: {}", self.number, self.capacity, self.comes_to_rest);
        let dir = tempfile::tempdir_in(scratch()).unwrap();
        let (dropper, dropped) = channel::<Box<dyn Send>>();
        let drops = thread::spawn(move || dropped.into_iter().for_each(drop));
        let runtime = Builder::new().capacity(self.capacity).build().unwrap();
        runtime.block_on(async {
            let random = &self.random;
            let mut tasks = Vec::new();
            for number in 0..4 {
                tasks.push(spawn(streams::connections(Rc::clone(random), dropper.clone())));
                let path = dir.path().join(format!("{number}"));
                tasks.push(spawn(files::file(Rc::clone(random), path, number, number % 2 == 0)));
                tasks.push(spawn(actors::tasks(Rc::clone(random))));
            }
            tasks.push(spawn(actors::listeners(Rc::clone(random))));
            if self.comes_to_rest {
                for task in tasks {
                    task.await.unwrap();
                }
                self.assert_at_rest().await;
            } else {
                while !random.is_over() {
                    sleep(Duration::from_micros(500)).await;
                }
            }
        });
        // With everything in flight, perhaps.
        drop(runtime);
        drop(dropper);
        drops.join().unwrap();
        drop(dir);
        self.assert_nothing_is_left();
    }

    async fn assert_at_rest(&self) {
        let begin = Instant::now();
        loop {
            let now = Handle::current().metrics();
            let tasks = now.tasks;
            if (now.slots_in_use <= OWN_POLLS) && (now.orphans, now.overflow_fds, tasks) == (0, 0, 0) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not come to rest: {now:#?}");
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn assert_nothing_is_left(&self) {
        let begin = Instant::now();
        loop {
            let open = open_files();
            let left: Vec<_> = open.difference(&self.open_before).collect();
            let quota = quota();
            if left.is_empty() && quota <= self.quota_before {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{left:?} open, fs.aio-nr {quota}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A directory on a file system with `O_DIRECT`: that of the build, as a rule.
fn scratch() -> PathBuf {
    std::env::var_os("TMPDIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from)
}

/// Descriptors of this process, with what they stand for.
fn open_files() -> BTreeSet<(PathBuf, PathBuf)> {
    let links: Vec<_> = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path()).collect();
    links.into_iter().filter_map(|link| Some((link.clone(), std::fs::read_link(link).ok()?))).collect()
}

/// The AIO requests that all processes of the host hold.
fn quota() -> u64 {
    std::fs::read_to_string("/proc/sys/fs/aio-nr").unwrap().trim().parse().unwrap()
}
