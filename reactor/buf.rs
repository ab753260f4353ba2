//! The buffer that file operations take and give back.

use std::fmt;
use std::ops::{Bound, Deref, DerefMut, Range, RangeBounds};

/// An owned buffer for file operations, made from a `Vec<u8>` without a copy, or aligned for
/// `O_DIRECT`.
///
/// It dereferences to the bytes that an operation reads or writes. These are all of its bytes until
/// [`slice`](Self::slice) narrows them to a window; an operation uses the window, and
/// [`unslice`](Self::unslice) widens it again.
///
/// Why operations take it and give it back: the kernel may use the bytes after a future has been
/// dropped. Until then nobody else may use them, and they must not move; the buffer of a dropped
/// operation is kept until the kernel is done with it. All bytes are initialised at all times.
///
/// # Examples
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
    /// Bytes skipped for the sake of alignment, then the buffer. It never grows while a `Buf` has
    /// it, so its bytes keep their addresses.
    bytes: Vec<u8>,
    skipped: usize,
    /// The window, from `bytes[begin]` to `bytes[end]`. Invariant:
    /// `skipped <= begin <= end <= bytes.len()`.
    begin: usize,
    end: usize,
}

impl Buf {
    /// A buffer of `len` bytes, all zero.
    ///
    /// # Panics
    ///
    /// If `len` is greater than `isize::MAX`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::Buf;
    /// assert_eq!(Buf::zeroed(3)[..], [0, 0, 0]);
    /// ```
    pub fn zeroed(len: usize) -> Self {
        Self::from(vec![0; len])
    }

    /// A buffer of `len` bytes, all zero, at an address that is a multiple of `align` bytes.
    /// `O_DIRECT` requires that; 4096 suits almost every file, and
    /// [`File::alignment`](crate::fs::File::alignment) gives the alignment that a given file
    /// requires.
    ///
    /// It lies on whole pages that nothing else lies on. On Linux 5.16 to 6.4, a direct read may
    /// lose its bytes if the process forks meanwhile and then writes to a page that the device is
    /// to fill: the write goes to a copy of the page, and the device's bytes to the original. A
    /// neighbour on the same page would be enough.
    ///
    /// # Panics
    ///
    /// If `align` is not a power of two, or the buffer with its alignment would be larger than
    /// `isize::MAX`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::Buf;
    /// assert_eq!(Buf::aligned(8192, 512).as_ptr().addr() % 512, 0);
    /// ```
    pub fn aligned(len: usize, align: usize) -> Self {
        assert!(align.is_power_of_two(), "Buf::aligned: the alignment {align} is not a power of two");
        let page = rustix::param::page_size();
        let align = align.max(page);
        let padded = len.checked_next_multiple_of(page).and_then(|pages| pages.checked_add(align));
        let padded = padded.expect("Buf::aligned: the length overflows with its alignment");
        let mut bytes = vec![0; padded];
        // At least one byte, so that `bytes` is not empty: see `spare_capacity`.
        let skipped = align - bytes.as_ptr().addr() % align;
        bytes.truncate(skipped + len);
        Self { bytes, skipped, begin: skipped, end: skipped + len }
    }

    /// Narrows the window to a range of it, in bytes from the window's start. The bytes do not
    /// move, so in an aligned buffer a window is aligned only if its start is.
    ///
    /// # Panics
    ///
    /// If the range is out of bounds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::Buf;
    /// let hello_world = Buf::from(b"hello world".to_vec());
    /// let world = hello_world.slice(6..);
    /// assert_eq!(&world[..], b"world");
    /// assert_eq!(&world.slice(..2)[..], b"wo");
    /// ```
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

    /// The capacity, if this was made from an empty `Vec`: room that a read does not fill, though
    /// its owner may expect it to. 0 for every other buffer, and for one that was sliced to
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::Buf;
    /// let world = Buf::from(b"hello world".to_vec()).slice(6..).slice(..2);
    /// assert_eq!(&world.unslice()[..], b"hello world");
    /// ```
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
    /// The bytes of the window. They are moved to the front of the `Vec` if the window does not
    /// begin there, and if the buffer is an aligned one; otherwise there is no copy.
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
