//! Where an operation runs: on the context, there with `RWF_NOWAIT` first, or on the blocking pool.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;

use super::alignment::{Direct, explain_refusal};
use super::known_len::KnownLen;
use super::nowait::Nowait;
use super::transfer::Transfer;
use crate::reactor::{Buf, Detour, FileOperation, Request, explain};
use crate::runtime::blocking::Failure;
use crate::runtime::context::{self, on_pool};

/// An open file, and the state that decides where its operations run.
#[derive(Debug)]
pub(super) struct RoutedFile {
    pub(super) file: Arc<fs::File>,
    kind: Kind,
    /// Every write extends it (`O_APPEND`).
    append: bool,
    pub(super) direct: Option<Direct>,
    known_len: KnownLen,
    /// Whether `RWF_NOWAIT` keeps `io_submit` from blocking.
    nowait_reads: Nowait,
    nowait_writes: Nowait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    BlockDevice,
    /// A pipe or a socket, which has no offsets.
    Stream,
    Other,
}

/// Where an operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// On the runtime's context, whether `io_submit` blocks or not.
    Context,
    /// On the context with `RWF_NOWAIT`: what would block there fails, and goes to the pool.
    NowaitFirst,
    /// On the blocking pool, since `io_submit` would block, or for too long.
    Pool(Detour),
}

/// The largest buffered transfer that the loop's thread copies.
const LARGEST_COPY: usize = 256 << 10;

/// Set with `O_SYNC` too. (rustix has the bits of `O_SYNC` for both.)
const O_DSYNC: OFlags = OFlags::from_bits_retain(libc::O_DSYNC as u32);

/// The outcome of a transfer.
type Done = (io::Result<usize>, Buf);

impl RoutedFile {
    /// Opens a file with std's options and further `O_` flags, on the pool.
    pub(super) fn open(
        options: &fs::OpenOptions,
        flags: i32,
        path: &Path,
    ) -> impl Future<Output = io::Result<Self>> + use<> {
        let (mut options, path) = (options.clone(), path.to_owned());
        options.custom_flags(flags);
        let open = move |()| {
            let opened = options.open(&path).and_then(Self::opened);
            let direct = flags & libc::O_DIRECT != 0;
            opened.map_err(|error| if direct { explain_refusal(error, &path) } else { error })
        };
        // The pool starts at once: in a future, so that nothing is opened before it is awaited.
        async { on_pool((), open).await? }
    }

    /// Fails with `EINVAL` if the file was opened with `O_DIRECT` and has no direct I/O.
    fn opened(file: fs::File) -> io::Result<Self> {
        let direct = Direct::of(&file)?;
        Ok(Self::new(file, direct))
    }

    pub(super) fn from_std(file: fs::File) -> Self {
        let direct = Direct::of(&file).unwrap_or(Some(Direct::UNKNOWN));
        Self::new(file, direct)
    }

    /// What cannot be found out here costs speed at most.
    fn new(file: fs::File, direct: Option<Direct>) -> Self {
        let (kind, len) = match file.metadata() {
            Ok(metadata) => (Kind::of(&metadata), metadata.len()),
            Err(_) => (Kind::Other, 0),
        };
        let flags = fcntl_getfl(&file).unwrap_or(OFlags::empty());
        // A buffered write syncs before it returns then, and does not ask whether it may block
        // (`generic_write_sync` in Linux). A direct write syncs in a kernel worker.
        let syncs = flags.contains(O_DSYNC) && direct.is_none();
        Self {
            kind,
            append: flags.contains(OFlags::APPEND),
            direct,
            known_len: KnownLen::new(len),
            nowait_reads: Nowait::new(true),
            nowait_writes: Nowait::new(!syncs),
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

    pub(super) async fn sync(&self, data_only: bool) -> io::Result<()> {
        if has_context() {
            return on_context(Request::sync(&self.file, data_only)).await.0.map(drop);
        }
        context::current().reactor().counters().count_detour(Detour::NoContext);
        let file = Arc::clone(&self.file);
        let sync = if data_only { fs::File::sync_data } else { fs::File::sync_all };
        on_pool(file, move |file| sync(&file)).await?
    }

    pub(super) async fn metadata(&self) -> io::Result<Metadata> {
        let file = Arc::clone(&self.file);
        let asked = self.known_len.ask();
        let metadata = on_pool(file, |file| file.metadata()).await??;
        self.known_len.learnt(asked, metadata.len());
        Ok(metadata)
    }

    pub(super) async fn set_len(&self, len: u64) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        let resize = self.known_len.begin_resize(len);
        let result = on_pool(file, move |file| file.set_len(len)).await;
        self.known_len.end_resize(resize, matches!(result, Ok(Ok(()))));
        result?
    }

    pub(super) async fn transfer(&self, transfer: Transfer, mut buf: Buf, offset: u64) -> Done {
        let position = match self.check(transfer, &buf, offset) {
            Ok(position) => position,
            Err(error) => return (Err(error), buf),
        };
        let detour = loop {
            let nowait = match self.route(transfer, offset, buf.len()) {
                Route::Pool(detour) => break detour,
                _ if !has_context() => break Detour::NoContext,
                Route::Context => false,
                Route::NowaitFirst => true,
            };
            if !nowait {
                self.nowait(transfer).one_without();
            }
            let result;
            (result, buf) = on_context(self.request(transfer, buf, position, nowait)).await;
            match result.as_ref().map_err(io::Error::raw_os_error) {
                // It waits in io_submit, and the next ones do.
                Err(Some(libc::EAGAIN)) if nowait && self.direct.is_some() && transfer == Transfer::Read => {
                    self.nowait(transfer).pause();
                }
                Err(Some(libc::EAGAIN)) if nowait => break Detour::Miss,
                // Another route, from now on.
                Err(Some(libc::EOPNOTSUPP)) if nowait => self.forgo_nowait(transfer),
                _ => return (self.explained(transfer, offset, &buf, result), buf),
            }
        };
        let (result, buf) = self.transfer_on_pool(detour, transfer, buf, offset).await;
        (self.explained(transfer, offset, &buf, result), buf)
    }

    /// The table of the [module](super) for a transfer of that many bytes. What it does not name is
    /// always the same: a sync runs on the context, everything else on the pool.
    fn route(&self, transfer: Transfer, offset: u64, len: usize) -> Route {
        let end = offset.saturating_add(len as u64);
        match (self.direct, transfer) {
            // It spares the kernel a search for dirty pages in the cache. But beside a write that
            // extends the file, most reads with it find the inode locked, and a thread for each
            // would cost four times the CPU time that waiting in io_submit does.
            (Some(_), Transfer::Read) if self.nowait(transfer).is_due() => Route::NowaitFirst,
            (Some(_), Transfer::Read) => Route::Context,
            (Some(_), Transfer::Write) if !self.is_inside(end) => Route::Pool(Detour::Extending),
            // All that it can wait for is its queue, and a thread would wait for that too.
            (Some(_), Transfer::Write) if self.kind == Kind::BlockDevice => Route::Context,
            (Some(_), Transfer::Write) if self.nowait(transfer).works() => Route::NowaitFirst,
            (Some(_), Transfer::Write) => Route::Context,
            (None, _) if !self.nowait(transfer).works() => Route::Pool(Detour::Unsupported),
            (None, _) if len > LARGEST_COPY => Route::Pool(Detour::Large),
            (None, _) => Route::NowaitFirst,
        }
    }

    /// Whether a write that ends there leaves the file as long as it is.
    fn is_inside(&self, end: u64) -> bool {
        self.kind == Kind::BlockDevice || (!self.append && self.known_len.covers(end))
    }

    fn nowait(&self, transfer: Transfer) -> &Nowait {
        match transfer {
            Transfer::Read => &self.nowait_reads,
            Transfer::Write => &self.nowait_writes,
        }
    }

    /// The file system has no `RWF_NOWAIT` for such transfers.
    fn forgo_nowait(&self, transfer: Transfer) {
        if self.nowait(transfer).forgo() {
            let instead = if self.direct.is_some() { "io_submit may block" } else { "the blocking pool is used" };
            tracing::debug!(file = ?self.file, call = transfer.call(), "the file system has no RWF_NOWAIT: {instead}");
        }
    }

    fn request(&self, transfer: Transfer, buf: Buf, position: i64, nowait: bool) -> Request {
        let request = match transfer {
            Transfer::Read => Request::read(&self.file, buf, position),
            Transfer::Write => Request::write(&self.file, buf, position),
        };
        let request = if nowait { request.nowait() } else { request };
        if self.direct.is_some() { request } else { request.inline() }
    }

    /// Does a transfer on the pool, which keeps file and buffer until it is over.
    async fn transfer_on_pool(&self, detour: Detour, transfer: Transfer, buf: Buf, offset: u64) -> Done {
        context::current().reactor().counters().count_detour(detour);
        let file = Arc::clone(&self.file);
        let asked = self.known_len.ask();
        let done = on_pool((file, buf), move |(file, mut buf)| {
            let result = match transfer {
                Transfer::Read => file.read_at(&mut buf, offset),
                Transfer::Write => file.write_at(&buf, offset),
            };
            (result, buf)
        });
        let (result, buf) = match done.await {
            Ok(done) => done,
            Err(Failure::Refused { error, argument: (_, buf) }) => (Err(error), buf),
            Err(failure) => (Err(failure.into()), Buf::default()),
        };
        if let (Transfer::Write, Ok(written)) = (transfer, &result) {
            self.known_len.written(asked, offset + *written as u64);
        }
        (result, buf)
    }

    /// Whether a direct transfer of this length ended in the middle of a block.
    pub(super) fn is_tail(&self, transfer: Transfer, moved: usize) -> bool {
        self.direct.is_some_and(|direct| direct.is_tail(transfer, moved))
    }

    /// Checks offset and buffer; returns the offset as the kernel's type.
    fn check(&self, transfer: Transfer, buf: &Buf, offset: u64) -> io::Result<i64> {
        let call = transfer.call();
        let Ok(position) = i64::try_from(offset) else {
            let text = format!("{call}: the offset {offset} is past the largest one, {}", i64::MAX);
            return Err(explain(Errno::INVAL, text));
        };
        if let Some(direct) = &self.direct {
            direct.check(transfer, buf, offset)?;
        }
        if transfer == Transfer::Read {
            check_length(call, buf)?;
        }
        // With RWF_NOWAIT the kernel would read from the stream, whatever the offset.
        if self.kind == Kind::Stream {
            return Err(Errno::SPIPE.into());
        }
        // `io_submit` would say EINVAL.
        if transfer == Transfer::Read && self.kind == Kind::Directory {
            return Err(Errno::ISDIR.into());
        }
        Ok(position)
    }

    fn explained(&self, transfer: Transfer, offset: u64, buf: &Buf, result: io::Result<usize>) -> io::Result<usize> {
        match (result, &self.direct) {
            (Err(error), Some(direct)) => Err(direct.explain(transfer, buf, offset, error)),
            (result, _) => result,
        }
    }
}

/// Whether the buffer to read into is empty by mistake: `Vec::with_capacity(n)` has no length, and
/// the `Ok(0)` of a read into it looks like the end of the file. (A `read_exact_at` of no bytes is
/// complete, and never asks.)
fn check_length(call: &str, buf: &Buf) -> io::Result<()> {
    match buf.spare_capacity() {
        0 => Ok(()),
        n => Err(explain(
            Errno::INVAL,
            format!(
                "{call}: the buffer is empty (length 0, capacity {n}): a read fills the length, not the capacity; use \
                 vec![0; {n}] or Buf::zeroed({n})"
            ),
        )),
    }
}

/// Whether the current runtime has a context. One that is there stays.
fn has_context() -> bool {
    context::current().reactor().has_context()
}

/// Does a request on the AIO context of the current runtime.
fn on_context(request: Request) -> FileOperation {
    FileOperation::new(context::current().reactor().home(), request)
}

impl Kind {
    fn of(metadata: &Metadata) -> Self {
        let file_type = metadata.file_type();
        if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_block_device() {
            Self::BlockDevice
        } else if file_type.is_fifo() || file_type.is_socket() {
            Self::Stream
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::reactor::fault::{self, Call};
    use crate::runtime::{Builder, Handle, time};

    const LEN: u64 = 8192;

    fn open(options: &mut fs::OpenOptions, direct: Option<Direct>) -> RoutedFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LEN).unwrap();
        RoutedFile::new(options.open(file.path()).unwrap(), direct)
    }

    #[test]
    fn direct_transfers_use_the_context_unless_they_extend_the_file() {
        let file = open(fs::OpenOptions::new().write(true), Some(Direct::UNKNOWN));
        for inside in [Route::NowaitFirst, Route::Context] {
            assert_eq!(file.route(Transfer::Read, LEN, 0), inside);
            assert_eq!(file.route(Transfer::Read, u64::MAX, 1), inside);
            assert_eq!(file.route(Transfer::Write, 0, LEN as usize), inside);
            assert_eq!(file.route(Transfer::Write, LEN, 1), Route::Pool(Detour::Extending));
            file.forgo_nowait(Transfer::Read);
            file.forgo_nowait(Transfer::Write);
        }
        let busy = open(fs::OpenOptions::new().read(true), Some(Direct::UNKNOWN));
        busy.nowait(Transfer::Read).pause();
        assert_eq!(busy.route(Transfer::Read, 0, 1), Route::Context, "it pauses");

        let appended = open(fs::OpenOptions::new().append(true), Some(Direct::UNKNOWN));
        assert_eq!(appended.route(Transfer::Read, LEN, 0), Route::NowaitFirst);
        let to_the_end = Route::Pool(Detour::Extending);
        assert_eq!(appended.route(Transfer::Write, 0, 1), to_the_end, "whatever its offset");
    }

    #[test]
    fn block_devices_wait_for_their_queue() {
        let file = open(fs::OpenOptions::new().write(true), Some(Direct::UNKNOWN));
        let device = RoutedFile { kind: Kind::BlockDevice, ..file };
        assert_eq!(device.route(Transfer::Read, LEN, 1), Route::NowaitFirst);
        assert_eq!(device.route(Transfer::Write, LEN, 1), Route::Context, "its length is not known");
    }

    #[test]
    fn buffered_transfers_try_nowait_until_the_file_system_refuses_it() {
        let file = open(fs::OpenOptions::new().write(true), None);
        for (transfer, other) in [(Transfer::Read, Transfer::Write), (Transfer::Write, Transfer::Read)] {
            let others = file.route(other, LEN, 0);
            assert_eq!(file.route(transfer, LEN, LARGEST_COPY), Route::NowaitFirst);
            assert_eq!(file.route(transfer, LEN, LARGEST_COPY + 1), Route::Pool(Detour::Large));
            file.forgo_nowait(transfer);
            assert_eq!(file.route(transfer, LEN, 1), Route::Pool(Detour::Unsupported));
            assert_eq!(file.route(other, LEN, 0), others, "reads and writes are apart");
        }
    }

    #[test]
    fn buffered_writes_that_sync_go_to_the_pool() {
        for flag in [libc::O_SYNC, libc::O_DSYNC] {
            let options = || fs::OpenOptions::new().read(true).write(true).custom_flags(flag).clone();
            let file = open(&mut options(), None);
            assert_eq!(file.route(Transfer::Write, 0, 1), Route::Pool(Detour::Unsupported));
            assert_eq!(file.route(Transfer::Read, 0, 1), Route::NowaitFirst);
            let direct = open(&mut options(), Some(Direct::UNKNOWN));
            assert_eq!(direct.route(Transfer::Write, 0, 1), Route::NowaitFirst, "it syncs in the kernel");
        }
    }

    #[test]
    fn without_a_context_transfers_and_syncs_run_on_the_pool() {
        const PATIENCE: Duration = Duration::from_secs(20);
        fault::inject(Call::Setup, Errno::AGAIN, usize::MAX);
        // No other test has left a context of this size in the pool.
        let runtime = Builder::new().capacity(999).build().unwrap();
        let metrics = || Handle::current().metrics();
        runtime.block_on(async {
            let files =
                [None, Some(Direct::UNKNOWN)].map(|direct| open(fs::OpenOptions::new().read(true).write(true), direct));
            let use_them = async |round: u8| {
                for file in &files {
                    let data = vec![round; LEN as usize];
                    let (written, buf) = file.transfer(Transfer::Write, data.clone().into(), 0).await;
                    assert_eq!(written.unwrap(), buf.len());
                    file.sync(round.is_multiple_of(2)).await.unwrap();
                    let (read, buf) = file.transfer(Transfer::Read, Buf::zeroed(LEN as usize), 0).await;
                    assert_eq!((read.unwrap(), &buf[..]), (data.len(), &data[..]));
                }
            };
            use_them(1).await;
            use_them(2).await;
            let now = metrics();
            assert_eq!((now.capacity, now.submit_calls, now.pool_no_context), (0, 0, 12), "{now:?}");
            fault::clear();
            let begin = Instant::now();
            for round in 3.. {
                use_them(round).await;
                if metrics().capacity > 0 {
                    break;
                }
                assert!(begin.elapsed() < PATIENCE, "it never gets a context: {:?}", metrics());
                time::sleep(Duration::from_millis(50)).await;
            }
            use_them(0).await;
            let after = metrics();
            assert!(after.submitted_reads >= 2 && after.submitted_syncs >= 2, "{after:?}");
        });
    }

    #[test]
    fn the_bytes_of_what_io_submit_copies_are_counted() {
        let direct = open(fs::OpenOptions::new().write(true), Some(Direct::UNKNOWN));
        let buffered = open(fs::OpenOptions::new().write(true), None);
        for transfer in [Transfer::Read, Transfer::Write] {
            let [direct, buffered] = [&direct, &buffered].map(|file| file.request(transfer, Buf::zeroed(1), 0, true));
            assert!(format!("{direct:?}").contains("inline: false"));
            assert!(format!("{buffered:?}").contains("inline: true"));
        }
    }
}
