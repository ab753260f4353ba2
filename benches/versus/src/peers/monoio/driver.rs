//! What differs between the drivers: listeners, files, and how a runtime is built.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Result;
use io_uring::IoUring;
use monoio::blocking::DefaultThreadPool;
use monoio::fs::File;
use monoio::time::TimeDriver;
use monoio::{Buildable, IoUringDriver, LegacyDriver};

use crate::blocks::{self, Access, Block};

type RuntimeBuilder<D> = monoio::RuntimeBuilder<TimeDriver<D>>;
pub type Runtime<D> = monoio::Runtime<TimeDriver<D>>;

pub trait Driver: monoio::Driver + Buildable + 'static {
    /// Whether the listener is nonblocking. io_uring would not wait on one: it returns EAGAIN.
    /// epoll needs one.
    const NONBLOCKING: bool;

    type File: Clone + 'static;

    fn open(path: &Path, access: Access) -> Result<Self::File>;

    fn read<const SIZE: usize>(file: &Self::File, offset: u64, into: Box<Block<SIZE>>) -> impl Transfer<SIZE>;

    fn write<const SIZE: usize>(file: &Self::File, offset: u64, from: Box<Block<SIZE>>) -> impl Transfer<SIZE>;

    /// Adds what a runtime needs for files.
    fn with_files(builder: RuntimeBuilder<Self>) -> RuntimeBuilder<Self>;
}

/// Gives the block back once all of it is read or written.
pub trait Transfer<const SIZE: usize>: Future<Output = Result<Box<Block<SIZE>>>> {}

impl<const SIZE: usize, F: Future<Output = Result<Box<Block<SIZE>>>>> Transfer<SIZE> for F {}

impl Driver for IoUringDriver {
    const NONBLOCKING: bool = false;

    type File = Rc<File>;

    fn open(path: &Path, access: Access) -> Result<Rc<File>> {
        Ok(Rc::new(File::from_std(blocks::open(path, access)?)?))
    }

    async fn read<const SIZE: usize>(file: &Rc<File>, offset: u64, into: Box<Block<SIZE>>) -> Result<Box<Block<SIZE>>> {
        let (done, block) = file.read_exact_at(into, offset).await;
        done?;
        Ok(block)
    }

    async fn write<const SIZE: usize>(
        file: &Rc<File>,
        offset: u64,
        from: Box<Block<SIZE>>,
    ) -> Result<Box<Block<SIZE>>> {
        let (done, block) = file.write_all_at(from, offset).await;
        done?;
        Ok(block)
    }

    fn with_files(builder: RuntimeBuilder<Self>) -> RuntimeBuilder<Self> {
        builder
    }
}

/// On this driver monoio reads its own files on the loop's thread, and everybody waits. Hence the
/// pool.
impl Driver for LegacyDriver {
    const NONBLOCKING: bool = true;

    type File = Arc<std::fs::File>;

    fn open(path: &Path, access: Access) -> Result<Arc<std::fs::File>> {
        Ok(Arc::new(blocks::open(path, access)?))
    }

    fn read<const SIZE: usize>(file: &Self::File, offset: u64, mut into: Box<Block<SIZE>>) -> impl Transfer<SIZE> {
        let file = file.clone();
        on_pool(move || {
            file.read_exact_at(&mut into, offset)?;
            Ok(into)
        })
    }

    fn write<const SIZE: usize>(file: &Self::File, offset: u64, from: Box<Block<SIZE>>) -> impl Transfer<SIZE> {
        let file = file.clone();
        on_pool(move || {
            file.write_all_at(&from, offset)?;
            Ok(from)
        })
    }

    fn with_files(builder: RuntimeBuilder<Self>) -> RuntimeBuilder<Self> {
        // From 16 to 128 threads, their number made no difference.
        builder.attach_thread_pool(Box::new(DefaultThreadPool::new(64)))
    }
}

async fn on_pool<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    monoio::spawn_blocking(work).await.expect("the pool lives as long as the runtime")
}

pub fn runtime<D: Driver>() -> Result<Runtime<D>> {
    Ok(Buildable::build(builder())?)
}

pub fn runtime_with_files<D: Driver>() -> Result<Runtime<D>> {
    Ok(Buildable::build(D::with_files(builder()))?)
}

/// With nothing set but the clock.
pub fn plain_runtime<D: Driver>() -> Result<Runtime<D>> {
    Ok(Buildable::build(RuntimeBuilder::new())?)
}

fn builder<D: Driver>() -> RuntimeBuilder<D> {
    let mut ring = IoUring::builder();
    // This thread reaps whenever it gets to it: no completion need interrupt it.
    ring.setup_coop_taskrun();
    // As many entries as in monoio's own benchmark of an echo server.
    RuntimeBuilder::new().with_entries(32_768).uring_builder(ring)
}
