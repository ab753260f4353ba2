//! Where an operation runs: on the context, there with `RWF_NOWAIT` first, or on the blocking pool.

use std::cell::Cell;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;

use super::alignment::Direct;
use super::known_len::KnownLen;
use crate::reactor::{Buf, Operation, Request, explain};
use crate::runtime::context;

/// An open file with what decides where its operations run.
#[derive(Debug)]
pub(super) struct RoutedFile {
    pub(super) file: Arc<fs::File>,
    kind: Kind,
    /// Every write extends it (`O_APPEND`).
    append: bool,
    pub(super) direct: Option<Direct>,
    known_len: KnownLen,
    /// Whether the file system takes `RWF_NOWAIT`, until it says that it does not.
    nowait_reads_work: Cell<bool>,
    nowait_writes_work: Cell<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    BlockDevice,
    Other,
}

impl RoutedFile {
    /// What cannot be found out here costs speed at most.
    pub(super) fn new(file: fs::File, direct: Option<Direct>) -> Self {
        let (kind, len) = match file.metadata() {
            Ok(metadata) => (Kind::of(&metadata), metadata.len()),
            Err(_) => (Kind::Other, 0),
        };
        Self {
            kind,
            append: fcntl_getfl(&file).is_ok_and(|flags| flags.contains(OFlags::APPEND)),
            direct,
            known_len: KnownLen::new(len),
            nowait_reads_work: Cell::new(true),
            nowait_writes_work: Cell::new(true),
            file: Arc::new(file),
        }
    }

    /// The file alone; `self` again while an operation that was dropped is still under way.
    pub(super) fn try_into_std(self) -> Result<fs::File, Self> {
        match Arc::try_unwrap(self.file) {
            Ok(file) => Ok(file),
            Err(file) => Err(Self { file, ..self }),
        }
    }

    pub(super) async fn read(&self, buf: Buf, offset: u64) -> (io::Result<usize>, Buf) {
        let position = match self.check("read_at", &buf, offset) {
            Ok(position) => position,
            Err(error) => return (Err(error), buf),
        };
        if self.kind == Kind::Directory {
            return (Err(Errno::ISDIR.into()), buf);
        }
        let request = Request::read(&self.file, buf, position);
        if self.direct.is_some() {
            let (result, buf) = run(request).await;
            return (self.explained("read_at", offset, &buf, result), buf);
        }
        let buf = match self.try_nowait(&self.nowait_reads_work, request).await {
            Ok(done) => return done,
            Err(buf) => buf,
        };
        self.on_pool(buf, move |file, buf| file.read_at(buf, offset)).await
    }

    pub(super) async fn write(&self, buf: Buf, offset: u64) -> (io::Result<usize>, Buf) {
        let position = match self.check("write_at", &buf, offset) {
            Ok(position) => position,
            Err(error) => return (Err(error), buf),
        };
        let buf = if self.direct.is_none() {
            let request = Request::write(&self.file, buf, position);
            match self.try_nowait(&self.nowait_writes_work, request).await {
                Ok(done) => return done,
                Err(buf) => buf,
            }
        } else if self.is_inside(offset.saturating_add(buf.len() as u64)) {
            let request = Request::write(&self.file, buf, position);
            let (result, buf) = run(request).await;
            return (self.explained("write_at", offset, &buf, result), buf);
        } else {
            buf
        };
        let asked = self.known_len.ask();
        let (result, buf) = self.on_pool(buf, move |file, buf| file.write_at(buf, offset)).await;
        if let Ok(written) = result {
            self.known_len.written(asked, offset + written as u64);
        }
        (self.explained("write_at", offset, &buf, result), buf)
    }

    pub(super) async fn sync(&self, data_only: bool) -> io::Result<()> {
        run(Request::sync(&self.file, data_only)).await.0.map(drop)
    }

    pub(super) async fn metadata(&self) -> io::Result<Metadata> {
        let file = Arc::clone(&self.file);
        let asked = self.known_len.ask();
        let metadata = blocking::unblock(move || file.metadata()).await?;
        self.known_len.learnt(asked, metadata.len());
        Ok(metadata)
    }

    pub(super) async fn set_len(&self, len: u64) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        let resize = self.known_len.begin_resize(len);
        let result = blocking::unblock(move || file.set_len(len)).await;
        self.known_len.end_resize(resize, result.is_ok());
        result
    }

    /// Whether a write that ends there leaves the file as long as it is.
    fn is_inside(&self, end: u64) -> bool {
        self.kind == Kind::BlockDevice || (!self.append && self.known_len.covers(end))
    }

    /// Tries a request with `RWF_NOWAIT`; the buffer comes back if it has to be done on the pool.
    async fn try_nowait(&self, works: &Cell<bool>, request: Request) -> Result<(io::Result<usize>, Buf), Buf> {
        if !works.get() {
            return Err(request.into_buf());
        }
        match run(request.nowait()).await {
            (Err(error), buf) if error.raw_os_error() == Some(libc::EAGAIN) => Err(buf),
            (Err(error), buf) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                works.set(false);
                Err(buf)
            }
            done => Ok(done),
        }
    }

    /// Does a blocking operation on the pool, which keeps file and buffer until it is over.
    async fn on_pool(
        &self,
        mut buf: Buf,
        operation: impl FnOnce(&fs::File, &mut Buf) -> io::Result<usize> + Send + 'static,
    ) -> (io::Result<usize>, Buf) {
        let file = Arc::clone(&self.file);
        blocking::unblock(move || {
            let result = operation(&file, &mut buf);
            (result, buf)
        })
        .await
    }

    /// Whether a direct transfer of this length ended in the middle of a block.
    pub(super) fn is_tail(&self, moved: usize) -> bool {
        self.direct.is_some_and(|direct| direct.is_tail(moved))
    }

    /// The offset as the kernel takes it, if it and the buffer are such as it takes.
    fn check(&self, call: &str, buf: &Buf, offset: u64) -> io::Result<i64> {
        let Ok(position) = i64::try_from(offset) else {
            let text = format!("{call}: the offset {offset} is past the largest one, {}", i64::MAX);
            return Err(explain(Errno::INVAL, text));
        };
        if let Some(direct) = &self.direct {
            direct.check(call, buf, offset)?;
        }
        Ok(position)
    }

    fn explained(&self, call: &str, offset: u64, buf: &Buf, result: io::Result<usize>) -> io::Result<usize> {
        match (result, &self.direct) {
            (Err(error), Some(direct)) => Err(direct.explain(call, buf, offset, error)),
            (result, _) => result,
        }
    }
}

/// Does a request in the context of the current runtime.
fn run(request: Request) -> Operation {
    Operation::new(context::current().reactor(), request)
}

impl Kind {
    fn of(metadata: &Metadata) -> Self {
        let file_type = metadata.file_type();
        if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_block_device() {
            Self::BlockDevice
        } else {
            Self::Other
        }
    }
}
