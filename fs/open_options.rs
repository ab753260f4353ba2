//! How a file is opened.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::File;

/// std's [`OpenOptions`](fs::OpenOptions), and [`direct`](Self::direct).
///
/// # Examples
///
/// ```no_run
/// use aio_runtime::fs::{Buf, OpenOptions};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// let file = OpenOptions::new().read(true).direct(true).open("blocks.db").await?;
/// let (read, block) = file.read_at(Buf::aligned(4096, 4096), 8 * 4096).await;
/// println!("{} bytes: {:02x?}", read?, &block[..16]);
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
    /// Everything off.
    #[expect(clippy::new_without_default, reason = "as std's and tokio's")]
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

    /// Whether to open for appending: every write goes to the end of the file, whatever its offset
    /// (`O_APPEND`).
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.std.append(append);
        self
    }

    /// Whether to cut an existing file to nothing.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.std.truncate(truncate);
        self
    }

    /// Whether to create the file where there is none.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.std.create(create);
        self
    }

    /// Whether to create the file, and fail where there is one.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.std.create_new(create_new);
        self
    }

    /// The permissions of a file that is created; 0o666 less the umask unless set.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.std.mode(mode);
        self
    }

    /// Further `O_` flags for `open(2)`.
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.custom_flags = flags;
        self
    }

    /// Whether to go around the page cache (`O_DIRECT`). Reads, and writes that do not extend the
    /// file, are then truly asynchronous; buffers, offsets and lengths must be aligned as
    /// [`File::alignment`] says.
    pub fn direct(&mut self, direct: bool) -> &mut Self {
        self.direct = direct;
        self
    }

    /// Opens the file, on the blocking pool.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`. `EINVAL`, explained, with `direct` where the file system has no
    /// `O_DIRECT`: the kind is `InvalidInput`, the [errno that of the error's
    /// source](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn open<P: AsRef<Path>>(&self, path: P) -> impl Future<Output = io::Result<File>> + use<P> {
        let flags = self.custom_flags | if self.direct { libc::O_DIRECT } else { 0 };
        File::open_with(&self.std, flags, path)
    }
}
