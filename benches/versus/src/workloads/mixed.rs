//! mixed: the echo server, whose loop copies a big file meanwhile, with direct reads and writes,
//! over and over.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::blocks::{self, Access, BLOCK_COUNT, BLOCK_SIZE, Block};

/// Bytes to be read and written at a time.
pub const CHUNK: usize = 256 * 1024;
const CHUNKS: u64 = BLOCK_COUNT * BLOCK_SIZE as u64 / CHUNK as u64;
/// The first block of one chunk in so many is looked at.
const SAMPLE: usize = 16;

/// What a runtime is to do beside its connections: one task reads a [`CHUNK`], writes it to where
/// it was read from, and goes on with the next.
pub struct Copying {
    /// To be opened with O_DIRECT, like the other.
    pub from: PathBuf,
    pub to: PathBuf,
}

impl Copying {
    pub fn new(from: &Path, to: &Path) -> Copying {
        Copying { from: from.to_owned(), to: to.to_owned() }
    }

    /// The offset of each chunk, from the start to the end of the file, again and again.
    pub fn offsets(&self) -> impl Iterator<Item = u64> + Send + 'static {
        (0..CHUNKS).cycle().map(|chunk| chunk * CHUNK as u64)
    }
}

/// Sees to it that what a copy is to bring is not there before, and is there after.
pub struct Check {
    to: PathBuf,
}

impl Check {
    /// To be called before the server is started.
    pub fn begin(to: &Path) -> Result<Check> {
        let file = blocks::open(to, Access::DirectWrite)?;
        let nothing = <Block>::zeroed();
        for block in sampled() {
            file.write_all_at(&nothing, blocks::offset(block))?;
        }
        Ok(Check { to: to.to_owned() })
    }

    /// Whether what should have been copied, after so many bytes, has been copied.
    pub fn end(&self, copied: u64) -> Result<()> {
        let file = blocks::open(&self.to, Access::DirectRead)?;
        let mut content = Block::zeroed();
        // The last chunk or two may be on their way.
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
