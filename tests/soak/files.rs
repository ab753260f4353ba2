//! Files whose blocks have versions. What is read is checked byte by byte; a write that was dropped
//! may still land, so its block may hold either version from then on.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use aio_runtime::fs::{Buf, File, OpenOptions};

use crate::memory::Poisoned;
use crate::random::{Random, byte};
use crate::streams::Dropper;

pub(crate) const BLOCK: usize = 4096;
const BLOCKS: usize = 64;

/// The most blocks of one operation.
const MOST_AT_ONCE: usize = 4;

/// A byte has a chance of this many in 256 to pass though it is wrong, so a block with more
/// versions is written no more.
const MOST_VERSIONS: usize = 6;

/// What a file may hold.
pub(crate) struct Contents {
    path: PathBuf,
    number: u64,
    /// Of each block, the versions that it may hold, in part or as a whole.
    blocks: RefCell<Vec<Vec<u64>>>,
}

impl Contents {
    /// A file whose blocks all hold version 0, when it is written.
    fn new(path: PathBuf, number: u64) -> Self {
        Self { path, number, blocks: RefCell::new(vec![vec![0]; BLOCKS]) }
    }

    fn byte(&self, block: usize, version: u64, at: usize) -> u8 {
        byte((self.number << 48) | ((block as u64) << 32) | version, at as u64)
    }

    fn fill(&self, buf: &mut [u8], first: usize, version: u64) {
        for (block, bytes) in (first..).zip(buf.chunks_mut(BLOCK)) {
            bytes.iter_mut().enumerate().for_each(|(at, out)| *out = self.byte(block, version, at));
        }
    }

    fn can_be_written(&self, first: usize, count: usize) -> bool {
        self.blocks.borrow()[first..first + count].iter().all(|versions| versions.len() < MOST_VERSIONS)
    }

    /// Notes a write before it begins, as it may be dropped at any time.
    fn note_begun(&self, first: usize, count: usize, version: u64) {
        self.blocks.borrow_mut()[first..first + count].iter_mut().for_each(|versions| versions.push(version));
    }

    /// Notes that the latest write has filled these blocks. They hold what it wrote, unless one
    /// that was dropped earlier may land even now.
    fn note_done(&self, first: usize, count: usize) {
        for versions in &mut self.blocks.borrow_mut()[first..first + count] {
            if let [_, new] = versions[..] {
                *versions = vec![new];
            }
        }
    }

    fn check(&self, bytes: &[u8], first: usize) {
        let blocks = self.blocks.borrow();
        for (block, bytes) in (first..).zip(bytes.chunks(BLOCK)) {
            let versions = &blocks[block];
            for (at, found) in bytes.iter().enumerate() {
                let known = versions.iter().any(|version| self.byte(block, *version, at) == *found);
                let number = self.number;
                assert!(known, "file {number}, block {block}, byte {at}: {found:#x} is of none of {versions:?}");
            }
        }
    }

    /// Checks the whole file, by other means.
    pub(crate) fn check_all(&self) {
        let bytes = std::fs::read(&self.path).unwrap();
        assert_eq!(bytes.len(), BLOCKS * BLOCK, "{:?} is as long as it was made", self.path);
        self.check(&bytes, 0);
    }
}

/// What the files of a world have in common.
pub(crate) struct Files {
    random: Rc<Random>,
    dropper: Dropper,
    dir: PathBuf,
    poisoned: Rc<Poisoned>,
    /// All that were written in full at least once.
    all: Rc<RefCell<Vec<Rc<Contents>>>>,
}

impl Files {
    pub(crate) fn new(
        random: &Rc<Random>,
        dropper: &Dropper,
        dir: &Path,
        poisoned: &Rc<Poisoned>,
        all: &Rc<RefCell<Vec<Rc<Contents>>>>,
    ) -> Self {
        let (random, poisoned, all) = (Rc::clone(random), Rc::clone(poisoned), Rc::clone(all));
        Self { random, dropper: dropper.clone(), dir: dir.to_owned(), poisoned, all }
    }

    /// One file after another, until the world is over.
    pub(crate) async fn run(self, direct: bool) {
        while self.random.next_op() {
            let number = self.random.below(1 << 15) as u64;
            let path = self.dir.join(format!("{number}"));
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).direct(direct);
            // Opened or not, and perhaps dropped while it is.
            let file = match self.random.perhaps(options.open(&path)).await {
                None => continue,
                // The number has come before.
                Some(Err(error)) if error.kind() == ErrorKind::AlreadyExists => continue,
                Some(opened) => opened.unwrap(),
            };
            let contents = Rc::new(Contents::new(path, number));
            let mut buf = Buf::aligned(BLOCKS * BLOCK, BLOCK);
            contents.fill(&mut buf, 0, 0);
            file.write_all_at(buf, 0).await.0.unwrap();
            self.all.borrow_mut().push(Rc::clone(&contents));
            self.operate(file, &contents).await;
        }
    }

    async fn operate(&self, file: File, contents: &Contents) {
        let random = &self.random;
        let file = Arc::new(file);
        for version in 1..=random.below(800) as u64 {
            if !random.next_op() {
                break;
            }
            let first = random.below(BLOCKS);
            let count = 1 + random.below(MOST_AT_ONCE.min(BLOCKS - first));
            match random.below(64) {
                0 => {
                    if let Some(synced) = random.perhaps(file.sync_data()).await {
                        synced.unwrap();
                    }
                }
                1..=24 if contents.can_be_written(first, count) => {
                    self.write(&file, contents, first, count, version).await
                }
                _ => self.read(&file, contents, first, count).await,
            }
        }
        if random.one_in(2) {
            // The last one, unless an operation that was moved there holds the file too.
            let _ = self.dropper.send(Box::new(file));
        }
    }

    async fn write(&self, file: &Arc<File>, contents: &Contents, first: usize, count: usize, version: u64) {
        let (len, offset) = (count * BLOCK, (first * BLOCK) as u64);
        let mut buf = Buf::aligned(len, BLOCK);
        contents.fill(&mut buf, first, version);
        contents.note_begun(first, count, version);
        let file = Arc::clone(file);
        match self.perhaps(async move { file.write_at(buf, offset).await }).await {
            Some((wrote, _)) => contents.note_done(first, wrote.unwrap() / BLOCK),
            None => self.poisoned.take(len),
        }
    }

    async fn read(&self, file: &Arc<File>, contents: &Contents, first: usize, count: usize) {
        let (len, offset) = (count * BLOCK, (first * BLOCK) as u64);
        let file = Arc::clone(file);
        let read = async move { file.read_at(Buf::aligned(len, BLOCK), offset).await };
        match self.perhaps(read).await {
            Some((read, buf)) => {
                let read = read.unwrap();
                assert!(read > 0, "a read within the file finds something");
                contents.check(&buf[..read], first);
            }
            None => self.poisoned.take(len),
        }
    }

    /// Runs an operation to its end, or drops it on the way, on this thread or another.
    async fn perhaps<F: Future<Output: 'static> + Send + 'static>(&self, operation: F) -> Option<F::Output> {
        match self.random.below(8) {
            0 => Some(operation.await),
            1 => self.random.perhaps_elsewhere(&self.dropper, operation).await,
            _ => self.random.perhaps(operation).await,
        }
    }
}
