//! Options that sockets of several protocols have, as macros, so that each type has them under its
//! own name.

use std::io;

use rustix::io::Errno;

/// What has to fit into a byte. The kernel would take the lowest one, or -1 for the default, and
/// say nothing.
pub(crate) fn byte(value: u32) -> io::Result<u8> {
    Ok(u8::try_from(value).map_err(|_| Errno::INVAL)?)
}

/// As C's `int`, which the kernel counts in; the largest one if it does not fit.
pub(crate) fn as_int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// `IP_TTL`.
macro_rules! ttl_option {
    ($Type:ty) => {
        const _: () = {
            use std::io;

            use rustix::net::sockopt;

            use $crate::net::block::options::byte;

            impl $Type {
                /// How many routers an IPv4 packet of this socket may pass (`IP_TTL`).
                ///
                /// # Errors
                ///
                /// Those of `getsockopt(2)`.
                pub fn ttl(&self) -> io::Result<u32> {
                    Ok(sockopt::ip_ttl(self)?)
                }

                /// Sets how many routers an IPv4 packet of this socket may pass (`IP_TTL`).
                ///
                /// # Errors
                ///
                /// `EINVAL` unless it is between 1 and 255.
                pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                    Ok(sockopt::set_ip_ttl(self, byte(ttl)?.into())?)
                }
            }
        };
    };
}

/// `IP_TOS`, `IPV6_TCLASS` and `SO_BINDTODEVICE`.
macro_rules! route_options {
    ($Type:ty) => {
        const _: () = {
            use std::io;

            use rustix::net::sockopt;
            use socket2::SockRef;

            use $crate::net::block::options::byte;

            impl $Type {
                /// The type-of-service field of its IPv4 packets (`IP_TOS`).
                ///
                /// # Errors
                ///
                /// Those of `getsockopt(2)`.
                pub fn tos_v4(&self) -> io::Result<u32> {
                    Ok(sockopt::ip_tos(self)?.into())
                }

                /// Sets the type-of-service field of its IPv4 packets (`IP_TOS`). Of a TCP socket,
                /// the two lowest bits are TCP's own (ECN), and are ignored.
                ///
                /// # Errors
                ///
                /// `EINVAL` if it is more than 255.
                pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
                    Ok(sockopt::set_ip_tos(self, byte(tos)?)?)
                }

                /// [`tos_v4`](Self::tos_v4), by its former name.
                #[deprecated = "`tos` is now `tos_v4`, since it is for IPv4 only"]
                #[doc(hidden)]
                pub fn tos(&self) -> io::Result<u32> {
                    self.tos_v4()
                }

                /// [`set_tos_v4`](Self::set_tos_v4), by its former name.
                #[deprecated = "`set_tos` is now `set_tos_v4`, since it is for IPv4 only"]
                #[doc(hidden)]
                pub fn set_tos(&self, tos: u32) -> io::Result<()> {
                    self.set_tos_v4(tos)
                }

                /// The traffic class of its IPv6 packets (`IPV6_TCLASS`).
                ///
                /// # Errors
                ///
                /// `EOPNOTSUPP` if the socket is for IPv4.
                pub fn tclass_v6(&self) -> io::Result<u32> {
                    Ok(sockopt::ipv6_tclass(self)?)
                }

                /// Sets the traffic class of its IPv6 packets (`IPV6_TCLASS`). Of a TCP socket, the
                /// two lowest bits are TCP's own (ECN), and are ignored.
                ///
                /// # Errors
                ///
                /// `EINVAL` if it is more than 255, `ENOPROTOOPT` if the socket is for IPv4.
                pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
                    Ok(sockopt::set_ipv6_tclass(self, byte(tclass)?.into())?)
                }

                /// The name of the interface that it is bound to, if it is (`SO_BINDTODEVICE`).
                ///
                /// # Errors
                ///
                /// Those of `getsockopt(2)`.
                pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
                    SockRef::from(self).device()
                }

                /// Binds it to the interface with this name (`SO_BINDTODEVICE`): it sends and
                /// receives there only. `None` ends that.
                ///
                /// # Errors
                ///
                /// `ENODEV` if there is no such interface; `EPERM` for a process without
                /// `CAP_NET_RAW`, if it is bound to one already. See `socket(7)`.
                pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
                    SockRef::from(self).bind_device(interface)
                }
            }
        };
    };
}

pub(crate) use {route_options, ttl_option};
