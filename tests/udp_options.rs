//! The options of UDP sockets.

mod common;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};

use aio_runtime::net::UdpSocket;
use common::datagrams::{connected, received, socket};
use common::{run, soon};

#[test]
fn options() {
    run(async {
        let (socket, _) = socket().await;
        for on in [true, false, true] {
            socket.set_broadcast(on).unwrap();
            assert_eq!(socket.broadcast().unwrap(), on);
            socket.set_multicast_loop_v4(on).unwrap();
            assert_eq!(socket.multicast_loop_v4().unwrap(), on);
        }
        socket.set_ttl(9).unwrap();
        socket.set_multicast_ttl_v4(7).unwrap();
        assert_eq!((socket.ttl().unwrap(), socket.multicast_ttl_v4().unwrap()), (9, 7));
        assert_eq!(socket.set_ttl(0).unwrap_err().kind(), ErrorKind::InvalidInput);
        for wrong in [256, u32::MAX] {
            assert_eq!(socket.set_ttl(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(socket.set_multicast_ttl_v4(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(socket.set_tos_v4(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        let error = socket.set_tclass_v6(1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOPROTOOPT));
    });
}

#[test]
fn options_of_ipv6() {
    run(async {
        let socket = match UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await {
            Ok(socket) => socket,
            Err(error) => {
                // A host without IPv6 says so, and there is nothing to test.
                let missing = [Some(libc::EAFNOSUPPORT), Some(libc::EADDRNOTAVAIL)];
                return assert!(missing.contains(&error.raw_os_error()), "{error}");
            }
        };
        let address = socket.local_addr().unwrap();
        socket.send_to(b"to itself", address).await.unwrap();
        let mut buf = [0; 16];
        assert_eq!(soon("a datagram", socket.recv_from(&mut buf)).await.unwrap(), (9, address));
        for on in [false, true] {
            socket.set_multicast_loop_v6(on).unwrap();
            assert_eq!(socket.multicast_loop_v6().unwrap(), on);
        }
        socket.set_tclass_v6(0x20).unwrap();
        assert_eq!(socket.tclass_v6().unwrap(), 0x20);
        let group = Ipv6Addr::new(0xff11, 0, 0, 0, 0, 0, 0, 0x77);
        socket.join_multicast_v6(&group, LOOPBACK_INDEX).unwrap();
        let error = socket.join_multicast_v6(&group, LOOPBACK_INDEX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        socket.leave_multicast_v6(&group, LOOPBACK_INDEX).unwrap();
        let error = socket.leave_multicast_v6(&group, LOOPBACK_INDEX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

/// Each network namespace numbers its interfaces, and begins with this one.
const LOOPBACK_INDEX: u32 = 1;

#[test]
fn members_of_a_group_receive_what_is_sent_to_it() {
    run(async {
        let group = Ipv4Addr::new(239, 255, 77, 7);
        let member = UdpSocket::bind((group, 0)).await.unwrap();
        let port = member.local_addr().unwrap().port();
        // A sender that is bound to an interface's address sends there.
        let (sender, sender_address) = socket().await;
        member.join_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        sender.send_to(b"to members", (group, port)).await.unwrap();
        let mut buf = [0; 16];
        assert_eq!(soon("a datagram", member.recv_from(&mut buf)).await.unwrap(), (10, sender_address));

        member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap();
        let error = member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        let error = member.join_multicast_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_broadcast_has_to_be_allowed() {
    run(async {
        let (socket, _) = socket().await;
        let everybody = (Ipv4Addr::new(127, 255, 255, 255), 9);
        let error = socket.send_to(b"x", everybody).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        socket.set_broadcast(true).unwrap();
        assert_eq!(socket.send_to(b"x", everybody).await.unwrap(), 1);
    });
}

#[test]
fn bound_to_an_interface() {
    run(async {
        let (near, far) = connected().await;
        assert_eq!(near.device().unwrap(), None);
        near.bind_device(Some(b"lo")).unwrap();
        assert_eq!(near.device().unwrap().as_deref(), Some(&b"lo"[..]));
        far.send(b"x").await.unwrap();
        assert_eq!(received(&near).await, b"x");
        let error = near.bind_device(Some(b"no such one")).unwrap_err();
        // The second change takes a privilege.
        assert!([Some(libc::ENODEV), Some(libc::EPERM)].contains(&error.raw_os_error()), "{error}");
    });
}
