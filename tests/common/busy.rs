//! A thread of the blocking pool that is kept busy.

use std::sync::mpsc::{Sender, channel};

use aio_runtime::task::{JoinHandle, spawn_blocking};
use futures::channel::oneshot;

use super::soon;

/// A thread of the current runtime's pool that is busy until this is dropped.
pub(crate) struct BusyThread {
    release: Sender<()>,
    task: JoinHandle<()>,
}

impl BusyThread {
    pub(crate) async fn begin() -> Self {
        let (release, released) = channel();
        let (began, begun) = oneshot::channel();
        let task = spawn_blocking(move || {
            began.send(()).unwrap();
            let _ = released.recv();
        });
        soon("a thread of the pool", begun).await.unwrap();
        Self { release, task }
    }

    /// Releases the thread, and waits until its function has ended.
    pub(crate) async fn end(self) {
        drop(self.release);
        soon("the busy thread", self.task).await.unwrap();
    }
}
