//! A file whose blocks have versions. What is read is checked byte by byte; a write that was
//! dropped may still land, so its block may hold either version from then on.

use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

use aio_runtime::fs::{Buf, File, OpenOptions};

use crate::random::{Random, byte};

const BLOCK: usize = 4096;
const BLOCKS: usize = 64;

/// More versions than this, and a block's writes are not dropped any more.
const MOST_VERSIONS: usize = 6;

/// What memory holds that was given back: a kernel that still writes there changes it.
const POISON: u8 = 0xa5;

/// Reads, writes and syncs one file until the world is over.
pub(crate) async fn file(random: Rc<Random>, path: std::path::PathBuf, number: u64, direct: bool) {
    let mut next_version = 1;
    let mut blocks = vec![vec![0_u64]; BLOCKS];
    let version_of = |block: usize, version: u64| number << 48 | (block as u64) << 32 | version;
    let contents = |block: usize, version: u64| (0..BLOCK as u64).map(move |at| byte(version_of(block, version), at));
    std::fs::write(&path, (0..BLOCKS).flat_map(|block| contents(block, 0)).collect::<Vec<_>>()).unwrap();
    let file = open(&path, direct).await;
    let mut poisoned = VecDeque::new();
    while random.next_op() {
        let block = random.below(BLOCKS);
        let offset = (block * BLOCK) as u64;
        match random.below(8) {
            0 => {
                let _ = random.perhaps(file.sync_data()).await;
            }
            1..=3 => {
                let mut buf = Buf::aligned(BLOCK, BLOCK);
                let version = next_version;
                next_version += 1;
                buf.copy_from_slice(&contents(block, version).collect::<Vec<_>>());
                let versions = &mut blocks[block];
                let wrote = if versions.len() < MOST_VERSIONS {
                    random.perhaps(file.write_at(buf, offset)).await
                } else {
                    Some(file.write_at(buf, offset).await)
                };
                match wrote {
                    Some((result, _)) => {
                        assert_eq!(result.unwrap(), BLOCK);
                        // A write that was dropped before may land after this one.
                        if versions.len() == 1 {
                            versions.clear();
                        }
                        versions.push(version);
                    }
                    None => versions.push(version),
                }
            }
            _ => {
                let read = random.perhaps(file.read_at(Buf::aligned(BLOCK, BLOCK), offset)).await;
                let Some((result, buf)) = read else {
                    // Its memory may be used again at once, as far as we know.
                    poisoned.push_back(poison());
                    continue;
                };
                assert_eq!(result.unwrap(), BLOCK);
                let versions = &blocks[block];
                for (at, found) in buf.iter().enumerate() {
                    let known = versions.iter().any(|version| byte(version_of(block, *version), at as u64) == *found);
                    assert!(known, "file {number}, block {block}, byte {at}: {found:#x} is of none of {versions:?}");
                }
            }
        }
        if poisoned.len() > 32 {
            check(&poisoned.pop_front().unwrap());
        }
    }
    poisoned.iter().for_each(check);
}

async fn open(path: &Path, direct: bool) -> File {
    OpenOptions::new().read(true).write(true).direct(direct).open(path).await.unwrap()
}

fn poison() -> Buf {
    let mut buf = Buf::aligned(BLOCK, BLOCK);
    buf.fill(POISON);
    buf
}

fn check(poisoned: &Buf) {
    assert!(poisoned.iter().all(|byte| *byte == POISON), "the kernel has written to memory that was given back");
}
