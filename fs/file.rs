//! An open file.

use std::cell::Cell;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::io::Errno;

use super::{Buf, OpenOptions};
use crate::reactor::{Operation, Reactor, Request, explain};
use crate::runtime::context;

/// An open file, read and written at offsets. It has no position; any number of operations may be under way.
///
/// See the [module](super) for how each operation runs.
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
    reactor: Rc<Reactor>,
    file: Arc<fs::File>,
    kind: Kind,
    /// Every write extends it (`O_APPEND`).
    append: bool,
    direct: Option<Direct>,
    /// The file is at least this long, as far as we know.
    known_len: Cell<u64>,
    /// Whether the file system is known not to take `RWF_NOWAIT`.
    nowait_reads: Cell<bool>,
    nowait_writes: Cell<bool>,
}

/// What an `O_DIRECT` file asks of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// A buffer's address must be a multiple of this.
    pub memory: usize,
    /// Offset and length must be multiples of this.
    pub offset: usize,
}

/// What we know of a file that was opened with `O_DIRECT`.
#[derive(Clone, Copy, Debug)]
struct Direct {
    alignment: Alignment,
    /// The file system said so (`STATX_DIOALIGN`, Linux 6.1); otherwise it is a guess that is safe everywhere.
    reported: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    BlockDevice,
    Other,
}

/// A file that has been opened and looked at, on its way from the blocking pool to the runtime.
#[derive(Debug)]
pub(super) struct Opened {
    file: fs::File,
    kind: Kind,
    append: bool,
    direct: Option<Direct>,
    len: u64,
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

    /// Finds out about a file that was just opened. Blocks.
    pub(super) fn examine(file: fs::File, append: bool, direct: bool) -> io::Result<Opened> {
        let metadata = file.metadata()?;
        let file_type = metadata.file_type();
        let kind = match () {
            () if file_type.is_dir() => Kind::Directory,
            () if file_type.is_block_device() => Kind::BlockDevice,
            () => Kind::Other,
        };
        let direct = if direct { Some(Direct::ask(&file)?) } else { None };
        // A block device does not grow.
        let len = if kind == Kind::BlockDevice { u64::MAX } else { metadata.len() };
        Ok(Opened { file, kind, append, direct, len })
    }

    pub(super) fn register(opened: Opened) -> io::Result<Self> {
        Ok(Self {
            reactor: Rc::clone(context::current().reactor()),
            file: Arc::new(opened.file),
            kind: opened.kind,
            append: opened.append,
            direct: opened.direct,
            known_len: Cell::new(opened.len),
            nowait_reads: Cell::new(true),
            nowait_writes: Cell::new(true),
        })
    }

    /// What `O_DIRECT` asks of buffers, offsets and lengths; `None` if the file was opened without it. Where
    /// the kernel does not say (before Linux 6.1, tmpfs), 4096 for both.
    pub fn alignment(&self) -> Option<Alignment> {
        self.direct.map(|direct| direct.alignment)
    }

    /// Reads up to `buf.len()` bytes at `offset`. Fewer may come: at the end of the file, or where only a
    /// part was in the page cache; 0 is the end.
    ///
    /// # Errors
    ///
    /// `EISDIR`; `EBADF` if not open for reading; `EINVAL` (kind `InvalidInput`) for an offset past
    /// `i64::MAX` or what `O_DIRECT` finds misaligned, with the numbers; `EIO`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves its buffer to the kernel until the read is over.
    ///
    /// # References
    ///
    /// `pread(2)`, `io_submit(2)`.
    pub async fn read_at(&self, buf: impl Into<Buf>, offset: u64) -> (io::Result<usize>, Buf) {
        let buf = buf.into();
        let position = match self.check("read_at", &buf, offset) {
            Ok(position) => position,
            Err(error) => return (Err(error), buf),
        };
        if self.kind == Kind::Directory {
            return (Err(Errno::ISDIR.into()), buf);
        }
        let request = Request::read(&self.file, buf, position);
        if self.direct.is_some() {
            return self.explained("read_at", offset, self.run(request).await);
        }
        let buf = match self.try_nowait(&self.nowait_reads, request).await {
            Ok(done) => return done,
            Err(buf) => buf,
        };
        self.on_pool(buf, move |file, buf| file.read_at(buf, offset)).await
    }

    /// Writes up to `buf.len()` bytes at `offset`, and says how many.
    ///
    /// # Errors
    ///
    /// `EBADF` if not open for writing; `EINVAL` (kind `InvalidInput`) for an offset past `i64::MAX` or what
    /// `O_DIRECT` finds misaligned, with the numbers; `ENOSPC`, `EDQUOT`, `EFBIG`, `EIO`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have written or not; its buffer is kept until that is over.
    ///
    /// # References
    ///
    /// `pwrite(2)`, `io_submit(2)`.
    pub async fn write_at(&self, buf: impl Into<Buf>, offset: u64) -> (io::Result<usize>, Buf) {
        let buf = buf.into();
        let position = match self.check("write_at", &buf, offset) {
            Ok(position) => position,
            Err(error) => return (Err(error), buf),
        };
        let end = offset.saturating_add(buf.len() as u64);
        let buf = if self.direct.is_none() {
            let request = Request::write(&self.file, buf, position);
            match self.try_nowait(&self.nowait_writes, request).await {
                Ok(done) => return done,
                Err(buf) => buf,
            }
        } else if !self.append && end <= self.known_len.get() {
            let request = Request::write(&self.file, buf, position);
            return self.explained("write_at", offset, self.run(request).await);
        } else {
            buf
        };
        let (result, buf) = self.on_pool(buf, move |file, buf| file.write_at(buf, offset)).await;
        if let Ok(written) = result {
            self.known_len.set(self.known_len.get().max(offset + written as u64));
        }
        self.explained("write_at", offset, (result, buf))
    }

    /// Fills the buffer from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before; otherwise as for [`read_at`](Self::read_at).
    pub async fn read_exact_at(&self, buf: impl Into<Buf>, offset: u64) -> (io::Result<()>, Buf) {
        let ended = |_| io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer");
        self.whole(buf.into(), offset, ended, async |buf, offset| self.read_at(buf, offset).await).await
    }

    /// Writes the whole buffer at `offset`.
    ///
    /// # Errors
    ///
    /// `WriteZero` if nothing more can be written; otherwise as for [`write_at`](Self::write_at).
    pub async fn write_all_at(&self, buf: impl Into<Buf>, offset: u64) -> (io::Result<()>, Buf) {
        let ended = |_| io::Error::new(io::ErrorKind::WriteZero, "failed to write whole buffer");
        self.whole(buf.into(), offset, ended, async |buf, offset| self.write_at(buf, offset).await).await
    }

    /// Waits until content and metadata are on the device.
    ///
    /// # Errors
    ///
    /// Those of `fsync(2)`.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.run(Request::sync(&self.file, false)).await.0.map(drop)
    }

    /// Waits until the content is on the device, with what metadata is needed to read it again.
    ///
    /// # Errors
    ///
    /// Those of `fdatasync(2)`.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.run(Request::sync(&self.file, true)).await.0.map(drop)
    }

    /// Size, times, permissions.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let file = Arc::clone(&self.file);
        let metadata = blocking::unblock(move || file.metadata()).await?;
        if self.kind == Kind::Other {
            self.known_len.set(metadata.len());
        }
        Ok(metadata)
    }

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// Those of `ftruncate(2)`.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        self.known_len.set(self.known_len.get().min(len));
        blocking::unblock(move || file.set_len(len)).await?;
        self.known_len.set(len);
        Ok(())
    }

    async fn run(&self, request: Request) -> (io::Result<usize>, Buf) {
        Operation::new(&self.reactor, request).await
    }

    /// Tries a request with `RWF_NOWAIT`; the buffer comes back if it has to be done on the pool.
    async fn try_nowait(&self, supported: &Cell<bool>, request: Request) -> Result<(io::Result<usize>, Buf), Buf> {
        if !supported.get() {
            return Err(request.into_buf());
        }
        match self.run(request.nowait()).await {
            (Err(error), buf) if error.raw_os_error() == Some(libc::EAGAIN) => Err(buf),
            (Err(error), buf) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                supported.set(false);
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

    /// Repeats `step` until the whole buffer is done. `ended` is the error for a step that does nothing.
    async fn whole(
        &self,
        mut buf: Buf,
        offset: u64,
        ended: impl Fn(()) -> io::Error,
        step: impl AsyncFn(Buf, u64) -> (io::Result<usize>, Buf),
    ) -> (io::Result<()>, Buf) {
        let window = buf.window();
        let mut done = 0;
        let mut result = Ok(());
        while done < window.len() {
            let moved;
            (moved, buf) =
                step(buf.with_window(window.start + done..window.end), offset.saturating_add(done as u64)).await;
            match moved {
                Ok(0) => result = Err(ended(())),
                // What remains cannot be asked for directly any more: that happens at the end of the file only.
                Ok(moved) if self.is_tail(moved) && done + moved < window.len() => result = Err(ended(())),
                Ok(moved) => done += moved,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
            if result.is_err() {
                break;
            }
        }
        (result, buf.with_window(window))
    }

    /// Whether a direct transfer of this length ended in the middle of a block.
    fn is_tail(&self, moved: usize) -> bool {
        const SMALLEST_BLOCK: usize = 512;
        self.direct.is_some_and(|direct| {
            let block = if direct.reported { direct.alignment.offset } else { SMALLEST_BLOCK };
            !moved.is_multiple_of(block)
        })
    }

    /// The offset as the kernel takes it, if it and the buffer are such as it takes.
    fn check(&self, call: &str, buf: &Buf, offset: u64) -> io::Result<i64> {
        let Ok(position) = i64::try_from(offset) else {
            return Err(explain(
                Errno::INVAL,
                format!("{call}: the offset {offset} is past the largest one, {}", i64::MAX),
            ));
        };
        if let Some(Direct { alignment, reported: true }) = self.direct {
            let Alignment { memory, offset: block } = alignment;
            let address = buf.as_ptr().addr();
            let wrong = match () {
                () if !address.is_multiple_of(memory) => {
                    format!("the buffer's address {address:#x} is no multiple of {memory}")
                }
                () if !offset.is_multiple_of(block as u64) => {
                    format!("the offset {offset} is no multiple of {block}")
                }
                () if !buf.len().is_multiple_of(block) => {
                    format!("the length {} is no multiple of {block}", buf.len())
                }
                () => return Ok(position),
            };
            return Err(explain(
                Errno::INVAL,
                format!("{call} on an O_DIRECT file: {wrong} (see File::alignment and Buf::aligned)"),
            ));
        }
        Ok(position)
    }

    /// Whether nobody told us the alignment that the kernel asks for.
    fn is_unchecked(&self) -> bool {
        self.direct.is_some_and(|direct| !direct.reported)
    }

    /// Says more where the kernel found a direct operation misaligned that we could not check.
    fn explained(&self, call: &str, offset: u64, done: (io::Result<usize>, Buf)) -> (io::Result<usize>, Buf) {
        match done {
            (Err(error), buf) if self.is_unchecked() && error.raw_os_error() == Some(libc::EINVAL) => {
                let text = format!(
                    "{call} on an O_DIRECT file: the kernel refuses {} bytes at {:p} for offset {offset}; \
                     4096 is a safe alignment of all three",
                    buf.len(),
                    buf.as_ptr(),
                );
                (Err(explain(error, text)), buf)
            }
            done => done,
        }
    }
}

impl Direct {
    /// Asks the file system. Fails with `EINVAL` if it says that there is no direct I/O on this file.
    fn ask(file: &fs::File) -> io::Result<Self> {
        let stat = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN);
        let (memory, offset) = match stat {
            Ok(stat) if StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::DIOALIGN) => {
                (stat.stx_dio_mem_align as usize, stat.stx_dio_offset_align as usize)
            }
            _ => {
                return Ok(Self { alignment: Alignment { memory: 4096, offset: 4096 }, reported: false });
            }
        };
        if memory == 0 || offset == 0 {
            return Err(Errno::INVAL.into());
        }
        Ok(Self { alignment: Alignment { memory, offset }, reported: true })
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
