//! Transfers of a whole buffer, in as many steps as it takes.

use std::io;

use super::route::RoutedFile;
use super::transfer::Transfer;
use crate::reactor::Buf;

/// Fills the buffer from `offset` on, or writes all of it there.
pub(super) async fn transfer(
    file: &RoutedFile,
    transfer: Transfer,
    mut buf: Buf,
    offset: u64,
) -> (io::Result<()>, Buf) {
    // A step that does nothing.
    let ended = || match transfer {
        Transfer::Read => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer")),
        Transfer::Write => Err(io::Error::new(io::ErrorKind::WriteZero, "failed to write whole buffer")),
    };
    let window = buf.window();
    let mut result = Ok(());
    let mut done = 0;
    while done < window.len() && result.is_ok() {
        let rest = window.start + done..window.end;
        let moved;
        let at = offset.saturating_add(done as u64);
        (moved, buf) = file.transfer(transfer, buf.with_window(rest.clone()), at).await;
        if buf.window() != rest {
            // The runtime was dropped, and the buffer with it.
            return (moved.map(drop), buf);
        }
        match moved {
            Ok(0) => result = ended(),
            // A direct transfer that ends within a block has met the end of the file. The rest
            // could not be asked for anyway, as it is not aligned.
            Ok(moved) if file.is_tail(transfer, moved) && done + moved < window.len() => result = ended(),
            Ok(moved) => done += moved,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => result = Err(error),
        }
    }
    (result, buf.with_window(window))
}
