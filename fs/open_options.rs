//! How a file is opened.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::File;

/// How a file is opened: the options of [`std::fs::OpenOptions`], and [`direct`](Self::direct).
///
/// # Examples
///
/// ```
/// use aio_runtime::fs::{Buf, OpenOptions};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let (path, log) = (dir.path().join("blocks.db"), dir.path().join("log"));
/// # std::fs::write(&path, vec![7; 16 * 4096])?;
/// let file = OpenOptions::new().read(true).direct(true).open(path).await?;
/// let (read, block) = file.read_at(Buf::aligned(4096, 4096), 8 * 4096).await;
/// println!("{} bytes: {:02x?}", read?, &block[..16]);
///
/// let log = OpenOptions::new().append(true).create(true).mode(0o600).open(log).await?;
/// log.write_all_at(b"started\n".to_vec(), 0).await.0?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    std: fs::OpenOptions,
    custom_flags: i32,
    direct: bool,
}

impl OpenOptions {
    /// All options off. One of [`read`](Self::read), [`write`](Self::write) and
    /// [`append`](Self::append) must be switched on.
    #[expect(clippy::new_without_default, reason = "as in std and tokio")]
    pub fn new() -> Self {
        Self { std: fs::OpenOptions::new(), custom_flags: 0, direct: false }
    }

    /// Whether to open for reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.std.read(read);
        self
    }

    /// Whether to open for writing.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.std.write(write);
        self
    }

    /// Whether to append: every write goes to the end of the file, whatever its offset
    /// (`O_APPEND`).
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.std.append(append);
        self
    }

    /// Whether to truncate the file if it exists. Needs [`write`](Self::write).
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.std.truncate(truncate);
        self
    }

    /// Whether to create the file if it does not exist. Needs [`write`](Self::write) or
    /// [`append`](Self::append).
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.std.create(create);
        self
    }

    /// Whether to create the file, and fail if it exists; [`create`](Self::create) and
    /// [`truncate`](Self::truncate) are ignored then. Needs [`write`](Self::write) or
    /// [`append`](Self::append).
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.std.create_new(create_new);
        self
    }

    /// The permissions of a new file, before the umask is applied. The default is 0o666.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.std.mode(mode);
        self
    }

    /// Further `O_` flags for `open(2)`. Those that say how to access the file (`O_ACCMODE`) are
    /// ignored.
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.custom_flags = flags;
        self
    }

    /// Whether to go around the page cache (`O_DIRECT`). Reads then need no thread, and neither do
    /// most writes that do not extend the file; see [how an operation
    /// runs](super#how-an-operation-runs) for the exceptions. Buffers, offsets and lengths must be
    /// aligned as [`File::alignment`] says.
    pub fn direct(&mut self, direct: bool) -> &mut Self {
        self.direct = direct;
        self
    }

    /// Opens the file, on the blocking pool.
    ///
    /// # Errors
    ///
    /// - Those of `open(2)`: `ENOENT`, `EACCES`, `EEXIST` with [`create_new`](Self::create_new),
    ///   `EISDIR` for a directory and writing, `EMFILE` if the process has no descriptor left, and
    ///   others.
    /// - `EINVAL` for options that do not go together, such as none of read, write and append.
    /// - `EINVAL`, [explained](super#errors), with [`direct`](Self::direct) where the file system
    ///   has no `O_DIRECT`.
    /// - `ResourceBusy` if [the blocking pool has no thread](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped after its first poll may still create or truncate the file. The
    /// descriptor is closed.
    pub fn open<P: AsRef<Path>>(&self, path: P) -> impl Future<Output = io::Result<File>> + use<P> {
        let flags = self.custom_flags | if self.direct { libc::O_DIRECT } else { 0 };
        File::open_with(&self.std, flags, path)
    }
}
