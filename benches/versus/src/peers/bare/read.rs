//! read: every reader has an iocb and a block, and reads again when it has read.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, RawFd};

use anyhow::{Context, Result, ensure};

use super::kioctx::{Iocb, Kioctx};
use crate::blocks::{self, BLOCK_SIZE, Block};
use crate::workloads::read::{Read, Reader, Reads};

pub fn run(reads: Reads) -> Result<()> {
    let file = blocks::open_direct(&reads.path)?;
    let mut kioctx = Kioctx::new(reads.readers.len() as u32)?;
    let mut slots: Vec<Slot> = reads.readers.into_iter().map(Slot::new).collect();
    let mut under_way = 0;
    for (index, slot) in slots.iter_mut().enumerate() {
        under_way += usize::from(slot.read_next(file.as_raw_fd(), index as u64, &mut kioctx));
    }
    let mut events = Vec::new();
    while under_way > 0 {
        kioctx.turn(&mut events)?;
        for event in &events {
            ensure!(event.res == BLOCK_SIZE as i64, "a read gave {}", event.res);
            let slot = &mut slots[event.data as usize];
            slot.end_read()?;
            if !slot.read_next(file.as_raw_fd(), event.data, &mut kioctx) {
                under_way -= 1;
            }
        }
    }
    Ok(())
}

struct Slot {
    iocb: Iocb,
    reader: Reader,
    read: Option<Read>,
    /// Leaked: the kernel may write to it for as long as the process lives, even if the loop ends with an error.
    block: &'static mut Block,
}

impl Slot {
    fn new(reader: Reader) -> Slot {
        Slot { iocb: Iocb::default(), reader, read: None, block: Box::leak(Block::zeroed()) }
    }

    /// Queues the next read; false if there is none.
    fn read_next(&mut self, file: RawFd, data: u64, kioctx: &mut Kioctx) -> bool {
        self.read = self.reader.begin();
        let Some(read) = &self.read else { return false };
        self.iocb = Iocb::pread(file, self.block, blocks::offset(read.block), data);
        // SAFETY: the slots are neither moved nor dropped before the next turn; the block stays for ever.
        unsafe { kioctx.queue(&mut self.iocb) };
        true
    }

    fn end_read(&mut self) -> Result<()> {
        let read = self.read.take().context("an event without a read")?;
        self.reader.end(&read, self.block);
        Ok(())
    }
}
