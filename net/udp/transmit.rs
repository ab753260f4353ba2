//! What is said of a datagram that is sent or was received, beside its bytes.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use quinn_udp::EcnCodepoint;
use rustix::io::Errno;

use crate::reactor::explain;

/// The most datagrams that one transmission may consist of (`UDP_MAX_SEGMENTS` of older kernels).
const MOST_SEGMENTS: usize = 64;

/// What [`BatchSocket::send_many`](super::BatchSocket::send_many) sends: a datagram, or several of
/// one length to one peer.
///
/// # Examples
///
/// ```
/// use aio_runtime::net::udp::{Ecn, Transmit};
///
/// let peer = "192.0.2.1:443".parse().unwrap();
/// let block = [0; 12_000];
/// let ten_datagrams = Transmit {
///     segment_size: Some(1200),
///     ecn: Some(Ecn::Ect0),
///     ..Transmit::new(peer, &block)
/// };
/// # let _ = ten_datagrams;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// The address that it is sent to, which the socket need not be connected to.
    pub destination: SocketAddr,
    /// The bytes.
    pub contents: &'a [u8],
    /// If the bytes are several datagrams: the length of each, but that the last one may be
    /// shorter. At most 64, or [`max_segments`](super::BatchSocket::max_segments).
    pub segment_size: Option<usize>,
    /// What it tells the network about congestion. If that, a `segment_size` or a `source` is
    /// given, the other bits of the type of service are 0, whatever the socket's option says.
    pub ecn: Option<Ecn>,
    /// The address of this host that it comes from, where there are several: for an answer, the
    /// [`destination`](RecvMeta::destination) of the question.
    pub source: Option<IpAddr>,
}

impl<'a> Transmit<'a> {
    /// One datagram, with nothing special.
    pub fn new(destination: SocketAddr, contents: &'a [u8]) -> Self {
        Self { destination, contents, segment_size: None, ecn: None, source: None }
    }

    /// Whether it is sent without control messages.
    pub(super) fn is_plain(&self) -> bool {
        self.segment_size.is_none() && self.ecn.is_none() && self.source.is_none()
    }

    /// For the kernel, if that can understand it. What it can not would look to quinn-udp as if
    /// there were no GSO.
    pub(super) fn checked(&self) -> io::Result<quinn_udp::Transmit<'a>> {
        let Self { destination, contents, segment_size, ecn, source } = *self;
        if let Some(size) = segment_size {
            if size == 0 || size > u16::MAX.into() {
                return Err(explain(Errno::INVAL, format!("segments of {size} bytes, where 1 to 65535 are possible")));
            }
            let segments = contents.len().div_ceil(size);
            if segments > MOST_SEGMENTS {
                let text = format!("{segments} segments in one transmission, which takes at most {MOST_SEGMENTS}");
                return Err(explain(Errno::INVAL, text));
            }
        }
        let ecn = ecn.map(Ecn::to_bits);
        Ok(quinn_udp::Transmit { destination, ecn, contents, segment_size, src_ip: source })
    }
}

/// What [`BatchSocket::recv_many`](super::BatchSocket::recv_many) says of the datagrams in a
/// buffer: those after the first one are of the same sender, and came the same way.
///
/// The default one is a placeholder, to be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvMeta {
    /// Who has sent them.
    pub sender: SocketAddr,
    /// How many bytes of the buffer were filled.
    pub len: usize,
    /// The length of each datagram, but that the last one may be shorter.
    pub stride: usize,
    /// What the network said about congestion.
    pub ecn: Option<Ecn>,
    /// The address of this host that they were sent to.
    pub destination: Option<IpAddr>,
}

impl RecvMeta {
    // Not `From`, which would make quinn-udp a part of the public API.
    pub(super) fn of(meta: &quinn_udp::RecvMeta) -> Self {
        Self {
            sender: meta.addr,
            len: meta.len,
            stride: meta.stride,
            ecn: meta.ecn.map(Ecn::from_bits),
            destination: meta.dst_ip,
        }
    }

    /// The datagrams in the buffer that this is about. There is one at least, which may be empty.
    pub fn datagrams<'b>(&self, buf: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let filled = &buf[..self.len];
        // `chunks` has none of nothing.
        let empty = filled.is_empty().then_some(filled);
        filled.chunks(self.stride.max(1)).chain(empty)
    }
}

impl Default for RecvMeta {
    fn default() -> Self {
        let sender = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        Self { sender, len: 0, stride: 0, ecn: None, destination: None }
    }
}

/// A codepoint of Explicit Congestion Notification (RFC 3168), as IP packets carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// ECT(0): the sender understands ECN.
    Ect0,
    /// ECT(1): it does, too. L4S (RFC 9331) gives that a meaning of its own.
    Ect1,
    /// CE: some router on the way was congested.
    Ce,
}

impl Ecn {
    fn to_bits(self) -> EcnCodepoint {
        match self {
            Self::Ect0 => EcnCodepoint::Ect0,
            Self::Ect1 => EcnCodepoint::Ect1,
            Self::Ce => EcnCodepoint::Ce,
        }
    }

    fn from_bits(bits: EcnCodepoint) -> Self {
        match bits {
            EcnCodepoint::Ect0 => Self::Ect0,
            EcnCodepoint::Ect1 => Self::Ect1,
            EcnCodepoint::Ce => Self::Ce,
        }
    }
}
