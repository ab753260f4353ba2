//! Addresses, resolved without blocking the runtime.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as _};

use rustix::net::AddressFamily;

use crate::runtime::context::{self, InRuntime};

/// What std's [`ToSocketAddrs`](std::net::ToSocketAddrs) turns into socket addresses. A host name
/// is looked up on the blocking pool; an address in text form needs no thread. The look-up fails
/// with `ResourceBusy` if the pool has no thread and the system refuses to start one.
///
/// The trait is sealed: its method is not part of the API.
pub trait ToSocketAddrs: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> ToSocketAddrs for T {}

/// Looks a host up, and yields its addresses: none, one or several. [`ToSocketAddrs`] says what
/// needs a look-up, and which thread makes it. Name the port too, as in `"localhost:80"` or
/// `("localhost", 80)`.
///
/// # Errors
///
/// `InvalidInput` for something that is not an address, such as a name without a port; the
/// resolver's error for an unknown host.
///
/// # Panics
///
/// When awaited outside a runtime.
///
/// # Cancel safety
///
/// If the future is dropped before it is ready, the look-up goes on, and its result is dropped.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// for address in aio_runtime::net::lookup_host("localhost:80").await? {
///     assert!(address.ip().is_loopback());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # References
///
/// `getaddrinfo(3)`.
pub fn lookup_host<T: ToSocketAddrs>(host: T) -> impl Future<Output = io::Result<impl Iterator<Item = SocketAddr>>> {
    InRuntime::new(async { resolve(host).await.map(Vec::into_iter) })
}

/// All addresses that `addr` stands for.
pub(super) async fn resolve(addr: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    match addr.known_or_name() {
        Ok(known) => Ok(known),
        Err(name) => {
            let looking_up = context::on_pool(name, |name| match name {
                sealed::Name::HostAndPort(text) => text.to_socket_addrs().map(Iterator::collect),
                sealed::Name::Host(host, port) => (host.as_str(), port).to_socket_addrs().map(Iterator::collect),
            });
            looking_up.await?
        }
    }
}

/// Makes an `attempt` for one address after another until one succeeds. The error is the last
/// one's.
pub(super) async fn first_success<T, F>(
    addr: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any address");
    for addr in resolve(addr).await? {
        match attempt(addr).await {
            Ok(done) => return Ok(done),
            Err(error) => last = error,
        }
    }
    Err(last)
}

pub(super) fn family_of(addr: &SocketAddr) -> AddressFamily {
    if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

mod sealed {
    use super::*;

    /// A name that has to be looked up.
    #[derive(Debug)]
    pub enum Name {
        /// As in `localhost:80`.
        HostAndPort(String),
        /// As in `("localhost", 80)`.
        Host(String, u16),
    }

    pub trait Sealed {
        /// The addresses, or what has to be looked up.
        fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name>;
    }

    impl Sealed for SocketAddr {
        fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name> {
            Ok(vec![*self])
        }
    }

    impl Sealed for [SocketAddr] {
        fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name> {
            Ok(self.to_vec())
        }
    }

    impl Sealed for str {
        fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name> {
            match self.parse() {
                Ok(addr) => Ok(vec![addr]),
                Err(_) => Err(Name::HostAndPort(self.to_owned())),
            }
        }
    }

    impl Sealed for String {
        fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name> {
            self.as_str().known_or_name()
        }
    }

    impl Sealed for (&str, u16) {
        fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name> {
            match self.0.parse::<IpAddr>() {
                Ok(ip) => Ok(vec![SocketAddr::new(ip, self.1)]),
                Err(_) => Err(Name::Host(self.0.to_owned(), self.1)),
            }
        }
    }

    impl Sealed for (String, u16) {
        fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name> {
            (self.0.as_str(), self.1).known_or_name()
        }
    }

    impl<T: Sealed + ?Sized> Sealed for &T {
        fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name> {
            (**self).known_or_name()
        }
    }

    macro_rules! known {
        ($($kind:ty),*) => {$(
            impl Sealed for $kind {
                fn known_or_name(&self) -> Result<Vec<SocketAddr>, Name> {
                    Ok(vec![SocketAddr::from(*self)])
                }
            }
        )*};
    }

    known!(SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));
}
