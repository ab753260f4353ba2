//! mixed: the echo server, whose loop also copies a big file with direct reads and writes, over and
//! over.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::blocks::{self, Access, BLOCK_COUNT, BLOCK_SIZE, Block};

/// Bytes read and written at a time.
pub const CHUNK: usize = 256 * 1024;
const CHUNKS: u64 = BLOCK_COUNT * BLOCK_SIZE as u64 / CHUNK as u64;
/// The first block of one chunk in this many is checked.
const SAMPLE: usize = 16;

/// What a runtime is to do besides serving its connections: one task reads a [`CHUNK`], writes it
/// to the same offset of the other file, and goes on with the next.
pub struct Copying {
    /// Opened with O_DIRECT, like the other.
    pub from: PathBuf,
    pub to: PathBuf,
}

impl Copying {
    pub fn new(from: &Path, to: &Path) -> Copying {
        Copying { from: from.to_owned(), to: to.to_owned() }
    }

    /// The offset of each chunk, from the start to the end of the file, over and over.
    pub fn offsets(&self) -> impl Iterator<Item = u64> + Send + 'static {
        (0..CHUNKS).cycle().map(|chunk| chunk * CHUNK as u64)
    }
}

/// Checks that the copy really copies: removes its result before, and looks for it after.
pub struct Check {
    to: PathBuf,
}

impl Check {
    /// To be called before the server starts.
    pub fn begin(to: &Path) -> Result<Check> {
        let file = blocks::open(to, Access::DirectWrite)?;
        let nothing = <Block>::zeroed();
        for block in sampled() {
            file.write_all_at(&nothing, blocks::offset(block))?;
        }
        Ok(Check { to: to.to_owned() })
    }

    /// Checks the blocks that must have been copied when `copied` bytes were written.
    pub fn end(&self, copied: u64) -> Result<()> {
        let file = blocks::open(&self.to, Access::DirectRead)?;
        let mut content = Block::zeroed();
        // The last chunk or two may still be in flight.
        for block in sampled().filter(|&block| blocks::offset(block) + 2 * (CHUNK as u64) < copied) {
            blocks::read(&file, block, &mut content)?;
            ensure!(blocks::is_block(block, &content), "block {block} was not copied");
        }
        Ok(())
    }
}

fn sampled() -> impl Iterator<Item = u64> {
    let blocks_in_chunk = (CHUNK / BLOCK_SIZE) as u64;
    (0..CHUNKS).step_by(SAMPLE).map(move |chunk| chunk * blocks_in_chunk)
}
