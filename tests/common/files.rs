//! What the tests of files share.

use std::path::Path;

use aio_runtime::fs::{Buf, File, OpenOptions};
use rustix::fs::{Advice, fadvise};

use super::soon;

/// A multiple of what any file system requires for `O_DIRECT`.
pub(crate) const BLOCK: usize = 4096;

pub(crate) fn aligned(content: &[u8]) -> Buf {
    let mut buf = Buf::aligned(content.len(), BLOCK);
    buf.copy_from_slice(content);
    buf
}

/// Writes a file that is on the device and not in the page cache.
pub(crate) fn write_uncached(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

pub(crate) async fn open_read_write(path: &Path, direct: bool) -> File {
    OpenOptions::new().read(true).write(true).direct(direct).open(path).await.unwrap()
}

pub(crate) async fn read(file: &File, len: usize, offset: u64) -> Vec<u8> {
    let (read, buf) = soon("a read", file.read_at(Buf::aligned(len, BLOCK), offset)).await;
    let read = read.unwrap();
    Vec::from(buf.slice(..read))
}
