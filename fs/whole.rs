//! Transfers of a whole buffer, in as many steps as it takes.

use std::io;

use super::route::RoutedFile;
use crate::reactor::Buf;

/// Fills the buffer from `offset` on.
pub(super) fn read_exact(file: &RoutedFile, buf: Buf, offset: u64) -> impl Future<Output = (io::Result<()>, Buf)> {
    let ended = (io::ErrorKind::UnexpectedEof, "failed to fill whole buffer");
    whole(file, buf, offset, ended, |buf, offset| file.read(buf, offset))
}

/// Writes the whole buffer at `offset`.
pub(super) fn write_all(file: &RoutedFile, buf: Buf, offset: u64) -> impl Future<Output = (io::Result<()>, Buf)> {
    let ended = (io::ErrorKind::WriteZero, "failed to write whole buffer");
    whole(file, buf, offset, ended, |buf, offset| file.write(buf, offset))
}

/// Repeats `step` until the whole buffer is done. `ended` is the error for a step that does
/// nothing.
async fn whole(
    file: &RoutedFile,
    mut buf: Buf,
    offset: u64,
    ended: (io::ErrorKind, &'static str),
    step: impl AsyncFn(Buf, u64) -> (io::Result<usize>, Buf),
) -> (io::Result<()>, Buf) {
    let ended = || Err(io::Error::new(ended.0, ended.1));
    let window = buf.window();
    let mut result = Ok(());
    let mut done = 0;
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
            // A direct transfer that ends within a block has met the end of the file. The rest
            // could not be asked for anyway, as it is not aligned.
            Ok(moved) if file.is_tail(moved) && done + moved < window.len() => result = ended(),
            Ok(moved) => done += moved,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => result = Err(error),
        }
    }
    (result, buf.with_window(window))
}
