//! read, buffered, write: every reader or writer has an iocb and a block, and begins the next
//! transfer when one is done.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, RawFd};

use anyhow::{Context, Result, ensure};

use super::kioctx::{Iocb, Kioctx};
use crate::blocks::{self, Access, BLOCK_SIZE, Block};
use crate::workloads::files::{Read, Reader, Reads, Write, Writer, Writes};

pub fn read(reads: Reads) -> Result<()> {
    let file = blocks::open(&reads.path, reads.access)?;
    run(file.as_raw_fd(), reads.readers.into_iter().map(|reader| Reading { reader, read: None }).collect())
}

pub fn write(writes: Writes) -> Result<()> {
    let file = blocks::open(&writes.path, Access::DirectWrite)?;
    run(file.as_raw_fd(), writes.writers.into_iter().map(|writer| Writing { writer, write: None }).collect())
}

fn run<T: Transfers>(file: RawFd, all: Vec<T>) -> Result<()> {
    let mut kioctx = Kioctx::new(all.len() as u32)?;
    let mut slots: Vec<Slot<T>> = all.into_iter().map(Slot::new).collect();
    let mut under_way = 0;
    for (index, slot) in slots.iter_mut().enumerate() {
        under_way += usize::from(slot.next(file, index as u64, &mut kioctx));
    }
    let mut events = Vec::new();
    while under_way > 0 {
        kioctx.turn(&mut events)?;
        for event in &events {
            ensure!(event.res == BLOCK_SIZE as i64, "a transfer gave {}", event.res);
            let slot = &mut slots[event.data as usize];
            slot.transfers.end(slot.block)?;
            if !slot.next(file, event.data, &mut kioctx) {
                under_way -= 1;
            }
        }
    }
    Ok(())
}

/// One block after the other, each read or each written.
trait Transfers {
    /// The next request; none if there is nothing left to do.
    fn begin(&mut self, file: RawFd, block: &mut Block, data: u64) -> Option<Iocb>;

    fn end(&mut self, block: &Block) -> Result<()>;
}

struct Reading {
    reader: Reader,
    read: Option<Read>,
}

impl Transfers for Reading {
    fn begin(&mut self, file: RawFd, block: &mut Block, data: u64) -> Option<Iocb> {
        let read = self.read.insert(self.reader.begin()?);
        Some(Iocb::pread(file, block, blocks::offset(read.block), data))
    }

    fn end(&mut self, block: &Block) -> Result<()> {
        let read = self.read.take().context("an event without a read")?;
        self.reader.end(&read, block);
        Ok(())
    }
}

struct Writing {
    writer: Writer,
    write: Option<Write>,
}

impl Transfers for Writing {
    fn begin(&mut self, file: RawFd, block: &mut Block, data: u64) -> Option<Iocb> {
        let write = self.write.insert(self.writer.begin(block)?);
        Some(Iocb::pwrite(file, block, blocks::offset(write.block), data))
    }

    fn end(&mut self, _: &Block) -> Result<()> {
        let write = self.write.take().context("an event without a write")?;
        self.writer.end(&write);
        Ok(())
    }
}

struct Slot<T> {
    iocb: Iocb,
    transfers: T,
    /// Leaked: the kernel may write to it as long as the process lives, even after the loop has
    /// ended with an error.
    block: &'static mut Block,
}

impl<T: Transfers> Slot<T> {
    fn new(transfers: T) -> Self {
        Slot { iocb: Iocb::default(), transfers, block: Box::leak(Block::zeroed()) }
    }

    /// Queues the next transfer; false if there is none.
    fn next(&mut self, file: RawFd, data: u64, kioctx: &mut Kioctx) -> bool {
        let Some(iocb) = self.transfers.begin(file, self.block, data) else { return false };
        self.iocb = iocb;
        // SAFETY: the slots are neither moved nor dropped before the next turn, and the block stays
        // forever.
        unsafe { kioctx.queue(&mut self.iocb) };
        true
    }
}
