//! The files that are read and written: 4 KiB blocks in which every word tells its block and its
//! place.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, Write};
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::fs::{Advice, AtFlags, OFlags, StatxFlags, fadvise, statx};

pub const BLOCK_SIZE: usize = 4096;
/// 256 MiB in all.
pub const BLOCK_COUNT: u64 = 65_536;

/// Memory for one block, or for a longer piece, aligned as strictly as any file system requires for
/// O_DIRECT.
#[repr(C, align(4096))]
pub struct Block<const SIZE: usize = BLOCK_SIZE>([u8; SIZE]);

impl<const SIZE: usize> Block<SIZE> {
    pub fn zeroed() -> Box<Self> {
        Box::new(Block([0; SIZE]))
    }
}

impl<const SIZE: usize> Deref for Block<SIZE> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const SIZE: usize> DerefMut for Block<SIZE> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// For those who keep it as bytes, whatever they are in.
impl<const SIZE: usize> AsRef<[u8]> for Box<Block<SIZE>> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Where block `number` begins in the file.
pub fn offset(number: u64) -> u64 {
    number * BLOCK_SIZE as u64
}

/// Creates the file in `dir`. It has no name there, so nothing is left behind however this process
/// ends.
///
/// # Errors
///
/// If `dir` is on a file system without O_DIRECT, where nothing could be measured.
pub fn create(dir: &Path) -> Result<File> {
    let whose = || format!("create a file in {}", dir.display());
    let file = tempfile::tempfile_in(dir).with_context(whose)?;
    require_direct_io(&file).with_context(whose)?;
    let mut out = BufWriter::with_capacity(1 << 20, &file);
    let mut block = <Block>::zeroed();
    for number in 0..BLOCK_COUNT {
        stamp(number, &mut block);
        out.write_all(&block)?;
    }
    out.flush()?;
    drop(out);
    file.sync_all()?;
    uncache(&file)?;
    Ok(file)
}

/// Where other processes find the file as long as this one has it open.
pub fn path_of(file: &File) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    DirectRead,
    DirectWrite,
    /// From the page cache, into which the driver has read the file.
    CachedRead,
}

impl Access {
    pub fn is_direct(self) -> bool {
        match self {
            Access::DirectRead | Access::DirectWrite => true,
            Access::CachedRead => false,
        }
    }
}

/// Opens a file for std's calls, which block.
pub fn open(path: &Path, access: Access) -> Result<File> {
    let flags = if access.is_direct() { OFlags::DIRECT } else { OFlags::empty() };
    OpenOptions::new()
        .read(access != Access::DirectWrite)
        .write(access == Access::DirectWrite)
        .custom_flags(flags.bits() as i32)
        .open(path)
        .with_context(|| format!("open {} for {access:?}", path.display()))
}

/// Reads a file into the page cache.
pub fn cache(mut file: &File) -> Result<()> {
    file.rewind()?;
    std::io::copy(&mut file, &mut std::io::sink())?;
    Ok(())
}

/// Drops a file from the page cache, where a direct write would have to look for each of its pages.
pub fn uncache(file: &File) -> Result<()> {
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

/// Reads block `number`, and blocks meanwhile.
pub fn read(file: &File, number: u64, into: &mut Block) -> Result<()> {
    Ok(file.read_exact_at(into, offset(number))?)
}

/// Opening with O_DIRECT proves little: tmpfs allows it, and reads from memory anyway. statx tells.
fn require_direct_io(file: &File) -> Result<()> {
    let about = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
    let known = about.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
    ensure!(
        known && about.stx_dio_mem_align != 0,
        "its file system has no O_DIRECT (or the kernel is older than 6.1 and does not say); \
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

/// Whether `content` is the whole of block `number`.
pub fn is_block(number: u64, content: &[u8]) -> bool {
    // Differences are gathered rather than tested one by one: without branches the loop is
    // vectorised.
    let differences = content
        .chunks_exact(8)
        .zip(words(number))
        .map(|(bytes, word)| u64::from_le_bytes(bytes.try_into().expect("8 bytes")) ^ word)
        .fold(0, |all, one| all | one);
    content.len() == BLOCK_SIZE && differences == 0
}

/// What a disk writes completely or not at all.
const SECTOR: usize = 512;

/// Writes into each sector of `content` the number of the block and its version.
pub fn stamp_sectors(number: u64, generation: u64, content: &mut [u8]) {
    for sector in content.chunks_exact_mut(SECTOR) {
        sector[..8].copy_from_slice(&number.to_le_bytes());
        sector[8..16].copy_from_slice(&generation.to_le_bytes());
    }
}

/// The version of block `number` in `content`; none if it is another block, or a torn one.
pub fn generation(number: u64, content: &[u8]) -> Option<u64> {
    let word = |sector: &[u8], at: usize| u64::from_le_bytes(sector[at..at + 8].try_into().expect("8 bytes"));
    let generation = word(content, 8);
    content
        .chunks_exact(SECTOR)
        .all(|sector| word(sector, 0) == number && word(sector, 8) == generation)
        .then_some(generation)
}
