//! Buffers of other crates, whose memory need not be initialised: [`BufMut`], tokio's `ReadBuf` and
//! hyper's `ReadBufCursor`.
//!
//! # Why this is a door to `unsafe`
//!
//! Each of them hands out memory on two conditions: nothing that is initialised becomes
//! uninitialised, and as many bytes are initialised as it is told afterwards. Both hold for all
//! that is here, since the memory goes to rustix and to nobody else, and what rustix returns says
//! what it has initialised.
//!
//! There are two ways without `unsafe`. To zero the memory before each attempt makes a read of
//! 64 KiB take a fifth longer, and one of 128 bytes into 64 KiB two fifths. To read into the stack
//! and to copy makes the former take two fifths longer.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use bytes::BufMut;
use rustix::net::{RecvFlags, recvfrom};

use super::kind::{Datagrams, Reads};

/// A buffer that keeps account of what is initialised, and of what is filled.
pub(crate) trait Unfilled {
    /// The memory that is to be filled next.
    ///
    /// # Safety
    ///
    /// No byte may be made uninitialised: some may be known to be initialised.
    unsafe fn free(&mut self) -> &mut [MaybeUninit<u8>];

    /// Counts the first bytes of [`free`](Self::free) as filled.
    ///
    /// # Safety
    ///
    /// `len` of them must be initialised.
    unsafe fn advance(&mut self, len: usize);
}

/// Reads once, and returns the number of bytes.
pub(crate) fn read<K: Reads>(fd: BorrowedFd<'_>, buf: &mut impl Unfilled) -> io::Result<usize> {
    fill(buf, |free| {
        let (filled, _) = K::read(fd, free)?;
        Ok((filled.len(), ()))
    })
    .map(|(len, ())| len)
}

/// Receives a datagram, and returns its length.
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut impl Unfilled, flags: RecvFlags) -> io::Result<usize> {
    fill(buf, |free| {
        let ((filled, _), _) = rustix::net::recv(fd, free, flags)?;
        Ok((filled.len(), ()))
    })
    .map(|(len, ())| len)
}

/// Receives a datagram, and returns its length and who has sent it.
pub(crate) fn recv_from<K: Datagrams>(
    fd: BorrowedFd<'_>,
    buf: &mut impl Unfilled,
    flags: RecvFlags,
) -> io::Result<(usize, K::Addr)> {
    fill(buf, |free| {
        let ((filled, _), _, sender) = recvfrom(fd, free, flags)?;
        Ok((filled.len(), K::sender(sender)?))
    })
}

/// `read` passes the memory on to rustix, and returns how much that has filled.
fn fill<T>(
    buf: &mut impl Unfilled,
    read: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<(usize, T)>,
) -> io::Result<(usize, T)> {
    // SAFETY: rustix has the kernel write bytes there, which makes none uninitialised.
    let (len, rest) = read(unsafe { buf.free() })?;
    // SAFETY: `len` is the length of a slice that rustix says is initialised: the first of `free`.
    unsafe { buf.advance(len) };
    Ok((len, rest))
}

/// The next chunk of a buffer that may have several. If a `Vec` is full, this makes it grow.
pub(crate) struct NextChunk<'a, B>(pub(crate) &'a mut B);

impl<B: BufMut> Unfilled for NextChunk<'_, B> {
    unsafe fn free(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the caller makes no byte uninitialised.
        unsafe { self.0.chunk_mut().as_uninit_slice_mut() }
    }

    unsafe fn advance(&mut self, len: usize) {
        // SAFETY: the caller has initialised as many bytes of the chunk.
        unsafe { self.0.advance_mut(len) };
    }
}

#[cfg(feature = "tokio-io")]
impl Unfilled for real_tokio::io::ReadBuf<'_> {
    unsafe fn free(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the caller makes no byte uninitialised.
        unsafe { self.unfilled_mut() }
    }

    unsafe fn advance(&mut self, len: usize) {
        // SAFETY: the caller has initialised as many unfilled bytes.
        unsafe { self.assume_init(len) };
        self.advance(len);
    }
}

#[cfg(feature = "hyper")]
impl Unfilled for hyper::rt::ReadBufCursor<'_> {
    unsafe fn free(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the caller makes no byte uninitialised.
        unsafe { self.as_mut() }
    }

    unsafe fn advance(&mut self, len: usize) {
        // SAFETY: the caller has initialised as many bytes.
        unsafe { self.advance(len) };
    }
}
