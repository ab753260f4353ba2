//! The file that is read: 4 KiB blocks whose every word tells which block and which word it is, read with O_DIRECT.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::fs::{AtFlags, OFlags, StatxFlags, statx};

pub const BLOCK_SIZE: usize = 4096;
/// 256 MiB in all.
pub const BLOCK_COUNT: u64 = 65_536;

/// One block in memory, aligned as strictly as any file system asks for O_DIRECT.
#[repr(C, align(4096))]
pub struct Block([u8; BLOCK_SIZE]);

impl Block {
    pub fn zeroed() -> Box<Block> {
        Box::new(Block([0; BLOCK_SIZE]))
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Where block `number` begins in the file.
pub fn offset(number: u64) -> u64 {
    number * BLOCK_SIZE as u64
}

/// Makes the file in `dir`. It has no name there, so that nothing is left behind however this process ends.
///
/// # Errors
///
/// If `dir` lies on a file system without O_DIRECT: nothing could be measured there.
pub fn create(dir: &Path) -> Result<File> {
    let whose = || format!("make a file in {}", dir.display());
    let file = tempfile::tempfile_in(dir).with_context(whose)?;
    require_direct_io(&file).with_context(whose)?;
    let mut out = BufWriter::with_capacity(1 << 20, &file);
    let mut block = Block::zeroed();
    for number in 0..BLOCK_COUNT {
        stamp(number, &mut block);
        out.write_all(&block)?;
    }
    out.flush()?;
    drop(out);
    file.sync_all()?;
    Ok(file)
}

/// Where the other processes find the file, for as long as this one has it open.
pub fn path_of(file: &File) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

/// Opens the file for direct reads.
pub fn open_direct(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::DIRECT.bits() as i32)
        .open(path)
        .with_context(|| format!("open {} with O_DIRECT", path.display()))
}

/// Opening with O_DIRECT proves little: tmpfs allows it and reads from memory all the same. statx tells.
fn require_direct_io(file: &File) -> Result<()> {
    let about = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
    let known = about.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
    ensure!(
        known && about.stx_dio_mem_align != 0,
        "its file system has no O_DIRECT (or the kernel, before 6.1, does not say so); \
         name a directory on a real disk with --dir or TMPDIR"
    );
    Ok(())
}

fn words(number: u64) -> impl Iterator<Item = u64> {
    let first = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0u64..).map(move |index| first.wrapping_add(index.wrapping_mul(0xD1B5_4A32_D192_ED03)))
}

fn stamp(number: u64, block: &mut Block) {
    for (bytes, word) in block.chunks_exact_mut(8).zip(words(number)) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// Whether `content` is block `number`, whole and in order.
pub fn is_block(number: u64, content: &[u8]) -> bool {
    // The differences are gathered rather than compared one by one: without branches the loop is vectorised.
    let differences = content
        .chunks_exact(8)
        .zip(words(number))
        .map(|(bytes, word)| u64::from_le_bytes(bytes.try_into().expect("8 bytes")) ^ word)
        .fold(0, |all, one| all | one);
    content.len() == BLOCK_SIZE && differences == 0
}
