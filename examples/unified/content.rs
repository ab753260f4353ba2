//! What the demonstration's file holds: blocks that can be told from each other, word by word.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::server::BLOCK_SIZE;

/// Makes a file of `blocks` blocks, on disk when this returns. It has no name, so nothing is left
/// behind however the process ends.
pub(crate) fn make_file(blocks: u64) -> io::Result<File> {
    // The directory for temporary files is often in memory, where O_DIRECT would show nothing.
    let file = tempfile::tempfile_in(".").or_else(|_| tempfile::tempfile())?;
    let mut out = BufWriter::with_capacity(1 << 20, &file);
    for number in 0..blocks {
        for word in words(number) {
            out.write_all(&word.to_le_bytes())?;
        }
    }
    out.flush()?;
    drop(out);
    file.sync_all()?;
    Ok(file)
}

/// Whether these bytes are block `number`.
pub(crate) fn is_block(number: u64, bytes: &[u8]) -> bool {
    // Differences are gathered, not compared one by one: a loop without branches is vectorised.
    let differences = bytes
        .chunks_exact(8)
        .zip(words(number))
        .map(|(bytes, word)| u64::from_le_bytes(bytes.try_into().expect("8 bytes")) ^ word)
        .fold(0, |all, one| all | one);
    bytes.len() == BLOCK_SIZE && differences == 0
}

fn words(number: u64) -> impl Iterator<Item = u64> {
    let first = scatter(number);
    (0..BLOCK_SIZE as u64 / 8).map(move |index| first.wrapping_add(index))
}

/// A number that looks like chance, another one for each input (splitmix64).
pub(crate) fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
