//! The buffer that file operations take and give back.

use std::fmt;
use std::ops::{Bound, Deref, DerefMut, Range, RangeBounds};

/// An owned buffer at a stable address, optionally aligned, of which an operation uses a window.
///
/// The kernel reads and writes it while nobody else does: an operation takes the `Buf` and gives it
/// back together with its result, and a dropped operation's buffer is kept until the kernel is done
/// with it. All bytes are initialised at all times.
///
/// ```
/// use aio_runtime::fs::Buf;
///
/// // For O_DIRECT: 8 KiB at an address that is a multiple of 4096.
/// let mut buf = Buf::aligned(8192, 4096);
/// assert!(buf.as_ptr().addr().is_multiple_of(4096));
///
/// // From and into a `Vec` without a copy.
/// let buf = Buf::from(b"hello world".to_vec());
/// let world = buf.slice(6..);
/// assert_eq!(&world[..], b"world");
/// assert_eq!(Vec::from(world.unslice()), b"hello world");
/// ```
#[derive(Default)]
pub struct Buf {
    /// Bytes skipped for the sake of alignment, then the buffer. Never grows while a `Buf` has it,
    /// so its bytes stay where they are.
    bytes: Vec<u8>,
    skipped: usize,
    /// The window, from `bytes[begin]` to `bytes[end]`. Invariant:
    /// `skipped <= begin <= end <= bytes.len()`.
    begin: usize,
    end: usize,
}

impl Buf {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        Self::from(vec![0; len])
    }

    /// `len` zeros, the first of which stands at a multiple of `align`, as `O_DIRECT` asks for; see
    /// [`File::alignment`](crate::fs::File::alignment).
    ///
    /// # Panics
    ///
    /// If `align` is not a power of two, or `len` is close to `usize::MAX`.
    pub fn aligned(len: usize, align: usize) -> Self {
        assert!(align.is_power_of_two(), "Buf::aligned: the alignment {align} is not a power of two");
        let padded = len.checked_add(align).expect("Buf::aligned: the length overflows with its alignment");
        let mut bytes = vec![0; padded];
        // One byte at least, so that `bytes` is never empty: see `spare_capacity`.
        let skipped = align - bytes.as_ptr().addr() % align;
        bytes.truncate(skipped + len);
        Self { bytes, skipped, begin: skipped, end: skipped + len }
    }

    /// Narrows the window to a range of the present one. The address moves with the range's start,
    /// so a slice of an aligned buffer is aligned only where the start is.
    ///
    /// # Panics
    ///
    /// If the range is out of bounds.
    #[track_caller]
    pub fn slice(mut self, range: impl RangeBounds<usize>) -> Self {
        let len = self.len();
        let start = match range.start_bound() {
            Bound::Included(&at) => at,
            Bound::Excluded(&at) => at.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&at) => at.saturating_add(1),
            Bound::Excluded(&at) => at,
            Bound::Unbounded => len,
        };
        assert!(start <= end && end <= len, "Buf::slice: {start}..{end} is out of the bounds of {len} bytes");
        self.end = self.begin + end;
        self.begin += start;
        self
    }

    /// The capacity of the empty `Vec` that this was made from: room that a read does not fill,
    /// though its user may think so. 0 for every other buffer, also for one that was sliced to
    /// nothing.
    pub(crate) fn spare_capacity(&self) -> usize {
        if self.bytes.is_empty() { self.bytes.capacity() } else { 0 }
    }

    /// The window, as positions that [`with_window`](Self::with_window) takes.
    pub(crate) fn window(&self) -> Range<usize> {
        self.begin..self.end
    }

    /// Sets the window, to a part of what [`window`](Self::window) said before.
    pub(crate) fn with_window(mut self, window: Range<usize>) -> Self {
        assert!(self.skipped <= window.start && window.start <= window.end && window.end <= self.bytes.len());
        (self.begin, self.end) = (window.start, window.end);
        self
    }

    /// Widens the window to the whole buffer again.
    pub fn unslice(mut self) -> Self {
        self.begin = self.skipped;
        self.end = self.bytes.len();
        self
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.begin..self.end]
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.begin..self.end]
    }
}

impl AsRef<[u8]> for Buf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Buf {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl From<Vec<u8>> for Buf {
    /// Without a copy.
    fn from(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { bytes, skipped: 0, begin: 0, end }
    }
}

impl From<Box<[u8]>> for Buf {
    /// Without a copy.
    fn from(bytes: Box<[u8]>) -> Self {
        Self::from(Vec::from(bytes))
    }
}

impl From<Buf> for Vec<u8> {
    /// The bytes of the window. Without a copy where the window begins at the start of a buffer
    /// that was not aligned; otherwise they are moved to the front.
    fn from(mut buf: Buf) -> Self {
        buf.bytes.truncate(buf.end);
        buf.bytes.drain(..buf.begin);
        buf.bytes
    }
}

impl PartialEq for Buf {
    /// Compares the windows.
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Buf {}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buf").field("len", &self.len()).finish_non_exhaustive()
    }
}
