//! The options of a UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use rustix::net::sockopt;

use super::UdpSocket;
use crate::net::block::options::{byte, route_options, ttl_option};

/// Options. Those of IPv6 fail on an IPv4 socket: `ENOPROTOOPT`, or `EOPNOTSUPP` to be read.
impl UdpSocket {
    /// Whether it may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(sockopt::socket_broadcast(self)?)
    }

    /// Sets whether it may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_socket_broadcast(self, on)?)
    }

    /// Whether what it sends to an IPv4 multicast group also comes to this host's own members
    /// (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        Ok(sockopt::ip_multicast_loop(self)?)
    }

    /// Sets whether what it sends to an IPv4 multicast group also comes to this host's own members
    /// (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_loop(self, on)?)
    }

    /// How many networks an IPv4 multicast datagram may cross (`IP_MULTICAST_TTL`). 1, the default,
    /// keeps it in the local one.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        Ok(sockopt::ip_multicast_ttl(self)?)
    }

    /// Sets how many networks an IPv4 multicast datagram may cross (`IP_MULTICAST_TTL`).
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is more than 255.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_multicast_ttl(self, byte(ttl)?.into())?)
    }

    /// Whether what it sends to an IPv6 multicast group also comes to this host's own members
    /// (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        Ok(sockopt::ipv6_multicast_loop(self)?)
    }

    /// Sets whether what it sends to an IPv6 multicast group also comes to this host's own members
    /// (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_ipv6_multicast_loop(self, on)?)
    }

    /// Joins an IPv4 multicast group on the interface that has this address; on one that the kernel
    /// chooses, if it is `0.0.0.0` (`IP_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not a multicast address, `ENODEV` if there is no such interface,
    /// `EADDRINUSE` if it is a member already; see `ip(7)`.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_add_membership(self, &multiaddr, &interface)?)
    }

    /// Joins an IPv6 multicast group on the interface with this index; on one that the kernel
    /// chooses, if it is 0 (`IPV6_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not a multicast address, `ENODEV` if there is no such interface,
    /// `EADDRINUSE` if it is a member already; see `ipv6(7)`.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        Ok(sockopt::set_ipv6_add_membership(self, multiaddr, interface)?)
    }

    /// Leaves an IPv4 multicast group that it has joined on this interface (`IP_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if it is not a member; see `ip(7)`.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        Ok(sockopt::set_ip_drop_membership(self, &multiaddr, &interface)?)
    }

    /// Leaves an IPv6 multicast group that it has joined on this interface
    /// (`IPV6_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if it is not a member; see `ipv6(7)`.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        Ok(sockopt::set_ipv6_drop_membership(self, multiaddr, interface)?)
    }
}

ttl_option!(UdpSocket);
route_options!(UdpSocket);
