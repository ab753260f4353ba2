//! An open file.

use std::cell::Cell;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;

use super::alignment::Direct;
use super::known_len::KnownLen;
use super::{Alignment, Buf, OpenOptions};
use crate::reactor::{Operation, Request, explain};
use crate::runtime::context::{self, InRuntime};

/// An open file, read and written at offsets. It has no position; any number of operations may be
/// under way.
///
/// It belongs to no runtime: each operation runs in the one that it is awaited in. See the
/// [module](super) for how.
///
/// # Examples
///
/// ```
/// use aio_runtime::fs::{Buf, File};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("greeting");
/// let file = File::create(&path).await?;
/// file.write_all_at(b"hello world".to_vec(), 0).await.0?;
/// file.sync_all().await?;
///
/// let file = File::open(&path).await?;
/// let (result, buf) = file.read_exact_at(Buf::zeroed(5), 6).await;
/// result?;
/// assert_eq!(&buf[..], b"world");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct File {
    file: Arc<fs::File>,
    kind: Kind,
    /// Every write extends it (`O_APPEND`).
    append: bool,
    direct: Option<Direct>,
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

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn open<P: AsRef<Path>>(path: P) -> impl Future<Output = io::Result<Self>> + use<P> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file for writing, created or cut to nothing.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn create<P: AsRef<Path>>(path: P) -> impl Future<Output = io::Result<Self>> + use<P> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// Takes over a file of std's, with the flags that it was opened with. Needs no runtime.
    pub fn from_std(file: fs::File) -> Self {
        let direct = Direct::of(&file).unwrap_or(Some(Direct::UNKNOWN));
        Self::new(file, direct)
    }

    /// Takes over a file that was just opened. Blocks.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it was opened with `O_DIRECT` and has no direct I/O.
    pub(super) fn opened(file: fs::File) -> io::Result<Self> {
        let direct = Direct::of(&file)?;
        Ok(Self::new(file, direct))
    }

    /// What cannot be found out here costs speed at most.
    fn new(file: fs::File, direct: Option<Direct>) -> Self {
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

    /// Gives the file back to std.
    ///
    /// # Errors
    ///
    /// The file itself, while an operation that was dropped is still under way.
    pub fn try_into_std(self) -> Result<fs::File, Self> {
        match Arc::try_unwrap(self.file) {
            Ok(file) => Ok(file),
            Err(file) => Err(Self { file, ..self }),
        }
    }

    /// A second descriptor of the same open file.
    ///
    /// # Errors
    ///
    /// `EMFILE` if there is none left.
    pub async fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::from_std(self.file.try_clone()?))
    }

    /// What `O_DIRECT` asks of buffers, offsets and lengths; `None` if the file was opened without
    /// it. Where the kernel does not say (before Linux 6.1, tmpfs), 4096 for both.
    pub fn alignment(&self) -> Option<Alignment> {
        self.direct.map(|direct| direct.alignment)
    }

    /// Reads up to `buf.len()` bytes at `offset`. Fewer may come: at the end of the file, or where
    /// only a part was in the page cache; 0 is the end.
    ///
    /// # Errors
    ///
    /// `EISDIR`; `EBADF` if not open for reading; `EIO`. `EINVAL`, explained with the numbers, for
    /// an offset past `i64::MAX` or what `O_DIRECT` finds misaligned: its kind is `InvalidInput`,
    /// its [errno that of its source](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves its buffer to the kernel until the read is over.
    ///
    /// # References
    ///
    /// `pread(2)`, `io_submit(2)`.
    pub fn read_at(&self, buf: impl Into<Buf>, offset: u64) -> impl Future<Output = (io::Result<usize>, Buf)> {
        InRuntime::new(self.read(buf.into(), offset))
    }

    /// Writes up to `buf.len()` bytes at `offset`, and says how many.
    ///
    /// # Errors
    ///
    /// `EBADF` if not open for writing; `ENOSPC`, `EDQUOT`, `EFBIG`, `EIO`. `EINVAL`, explained
    /// with the numbers, for an offset past `i64::MAX` or what `O_DIRECT` finds misaligned: its
    /// kind is `InvalidInput`, its [errno that of its source](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have written or not; its buffer is kept until that is over.
    ///
    /// # References
    ///
    /// `pwrite(2)`, `io_submit(2)`.
    pub fn write_at(&self, buf: impl Into<Buf>, offset: u64) -> impl Future<Output = (io::Result<usize>, Buf)> {
        InRuntime::new(self.write(buf.into(), offset))
    }

    /// Fills the buffer from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before; otherwise as for [`read_at`](Self::read_at).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn read_exact_at(&self, buf: impl Into<Buf>, offset: u64) -> impl Future<Output = (io::Result<()>, Buf)> {
        let ended = (io::ErrorKind::UnexpectedEof, "failed to fill whole buffer");
        InRuntime::new(self.whole(buf.into(), offset, ended, async |buf, offset| self.read(buf, offset).await))
    }

    /// Writes the whole buffer at `offset`.
    ///
    /// # Errors
    ///
    /// `WriteZero` if nothing more can be written; otherwise as for [`write_at`](Self::write_at).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn write_all_at(&self, buf: impl Into<Buf>, offset: u64) -> impl Future<Output = (io::Result<()>, Buf)> {
        let ended = (io::ErrorKind::WriteZero, "failed to write whole buffer");
        InRuntime::new(self.whole(buf.into(), offset, ended, async |buf, offset| self.write(buf, offset).await))
    }

    /// Waits until content and metadata are on the device.
    ///
    /// # Errors
    ///
    /// Those of `fsync(2)`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn sync_all(&self) -> impl Future<Output = io::Result<()>> {
        InRuntime::new(self.sync(false))
    }

    /// Waits until the content is on the device, with what metadata is needed to read it again.
    ///
    /// # Errors
    ///
    /// Those of `fdatasync(2)`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn sync_data(&self) -> impl Future<Output = io::Result<()>> {
        InRuntime::new(self.sync(true))
    }

    /// Size, times, permissions.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let file = Arc::clone(&self.file);
        let asked = self.known_len.ask();
        let metadata = blocking::unblock(move || file.metadata()).await?;
        self.known_len.learnt(asked, metadata.len());
        Ok(metadata)
    }

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// Those of `ftruncate(2)`.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        let resize = self.known_len.begin_resize(len);
        let result = blocking::unblock(move || file.set_len(len)).await;
        self.known_len.end_resize(resize, result.is_ok());
        result
    }

    async fn read(&self, buf: Buf, offset: u64) -> (io::Result<usize>, Buf) {
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

    async fn write(&self, buf: Buf, offset: u64) -> (io::Result<usize>, Buf) {
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

    async fn sync(&self, data_only: bool) -> io::Result<()> {
        run(Request::sync(&self.file, data_only)).await.0.map(drop)
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

    /// Repeats `step` until the whole buffer is done. `ended` is the error for a step that does
    /// nothing.
    async fn whole(
        &self,
        mut buf: Buf,
        offset: u64,
        ended: (io::ErrorKind, &'static str),
        step: impl AsyncFn(Buf, u64) -> (io::Result<usize>, Buf),
    ) -> (io::Result<()>, Buf) {
        let ended = || Err(io::Error::new(ended.0, ended.1));
        let window = buf.window();
        let mut done = 0;
        let mut result = Ok(());
        while done < window.len() && result.is_ok() {
            let rest = window.start + done..window.end;
            let moved;
            (moved, buf) = step(buf.with_window(rest.clone()), offset.saturating_add(done as u64)).await;
            if buf.window() != rest {
                // The runtime was dropped, and the buffer with it.
                return (moved.map(drop), buf);
            }
            match moved {
                Ok(0) => result = ended(),
                // What remains cannot be asked for directly any more: that happens at the end of
                // the file only.
                Ok(moved) if self.is_tail(moved) && done + moved < window.len() => result = ended(),
                Ok(moved) => done += moved,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
        }
        (result, buf.with_window(window))
    }

    /// Whether a direct transfer of this length ended in the middle of a block.
    fn is_tail(&self, moved: usize) -> bool {
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

impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        Self::from_std(file)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
