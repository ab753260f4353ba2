//! Many UDP datagrams at once: batches, segments that travel as one, and what is said of them.

mod common;

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;

use aio_runtime::io::Interest;
use aio_runtime::net::UdpSocket;
use aio_runtime::net::udp::{BatchSocket, Ecn, RecvMeta, Transmit};
use aio_runtime::spawn;
use common::datagrams::{deserted, received, socket};
use common::{poll_once, run, soon};
use rustix::io::Errno;

/// The most of a list that one call takes.
const MOST: usize = 32;

/// A socket, and its address.
async fn batch_socket() -> (BatchSocket, SocketAddr) {
    let (socket, address) = socket().await;
    (BatchSocket::new(socket).unwrap(), address)
}

/// One at an address of one's choice.
async fn bound_to(address: &str) -> (BatchSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).await.unwrap();
    let address = socket.local_addr().unwrap();
    (BatchSocket::new(socket).unwrap(), address)
}

/// Receives by one call into `count` buffers: each filled one, with its datagrams.
async fn receive(socket: &BatchSocket, count: usize) -> Vec<(RecvMeta, Vec<Vec<u8>>)> {
    let mut memory = vec![0; count * 65_535];
    let mut bufs: Vec<_> = memory.chunks_mut(65_535).map(IoSliceMut::new).collect();
    let mut metas = vec![RecvMeta::default(); count];
    let filled = soon("datagrams", socket.recv_many(&mut bufs, &mut metas)).await.unwrap();
    let datagrams = |meta: &RecvMeta, buf| meta.datagrams(buf).map(<[u8]>::to_vec).collect();
    metas[..filled].iter().zip(&bufs).map(|(meta, buf)| (*meta, datagrams(meta, buf))).collect()
}

/// Receives as many datagrams as this, by as many calls as that takes.
async fn receive_all(socket: &BatchSocket, count: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(receive(socket, MOST).await.into_iter().flat_map(|(_, datagrams)| datagrams));
    }
    all
}

/// Receives the one buffer that is there.
async fn receive_one(socket: &BatchSocket) -> (RecvMeta, Vec<Vec<u8>>) {
    let mut filled = receive(socket, MOST).await;
    assert_eq!(filled.len(), 1);
    filled.remove(0)
}

#[test]
fn a_batch_keeps_its_order_and_its_boundaries() {
    run(async {
        let ((near, sender), (far, address)) = (batch_socket().await, batch_socket().await);
        let (other, other_address) = socket().await;
        let texts: [&[u8]; 5] = [b"a", b"", b"four", &[7; 9000], b"z"];
        let mut transmits = texts.map(|text| Transmit::new(address, text)).to_vec();
        transmits.insert(2, Transmit::new(other_address, b"elsewhere"));
        assert_eq!(near.send_many(&transmits).await.unwrap(), 6);
        assert_eq!(received(&other).await, b"elsewhere");

        let filled = receive(&far, 3).await;
        assert_eq!(filled.len(), 3);
        for ((meta, datagrams), text) in filled.iter().zip(texts) {
            assert_eq!((meta.sender, meta.len, meta.stride), (sender, text.len(), text.len()));
            assert_eq!(*datagrams, [text]);
        }
        assert_eq!(receive_all(&far, 2).await, texts[3..]);
    });
}

#[test]
fn a_long_list_takes_several_calls() {
    run(async {
        let ((near, _), (far, address)) = (batch_socket().await, batch_socket().await);
        let numbers: Vec<_> = (0..80_u8).map(|number| [number]).collect();
        let transmits: Vec<_> = numbers.iter().map(|number| Transmit::new(address, number)).collect();
        let (mut sent, mut calls) = (0, 0);
        while sent < transmits.len() {
            sent += soon("room", near.send_many(&transmits[sent..])).await.unwrap();
            calls += 1;
        }
        assert_eq!((sent, calls), (80, 3));
        let first = receive(&far, 100).await;
        assert_eq!(first.len(), MOST);
        let mut all: Vec<_> = first.into_iter().flat_map(|(_, datagrams)| datagrams).collect();
        all.extend(receive_all(&far, 80 - all.len()).await);
        assert_eq!(all, numbers);
    });
}

#[test]
fn empty_lists_are_nothing_to_wait_for() {
    run(async {
        let (near, address) = batch_socket().await;
        assert_eq!(soon("nothing", near.send_many(&[])).await.unwrap(), 0);
        near.send_many(&[Transmit::new(address, b"to itself")]).await.unwrap();
        let (mut memory, mut metas) = ([0; 16], [RecvMeta::default()]);
        assert_eq!(soon("nothing", near.recv_many(&mut [], &mut metas)).await.unwrap(), 0);
        assert_eq!(soon("nothing", near.recv_many(&mut [IoSliceMut::new(&mut memory)], &mut [])).await.unwrap(), 0);
        assert_eq!(receive_one(&near).await.1, [b"to itself"]);
    });
}

#[test]
fn segments_leave_as_one_and_arrive_as_many() {
    run(async {
        let ((near, sender), (far, address)) = (batch_socket().await, batch_socket().await);
        let (plain, plain_address) = socket().await;
        assert_eq!(near.max_segments(), 64, "this kernel has no GSO");
        let block: Vec<_> = common::pattern(10_500);
        let many = |to| Transmit { segment_size: Some(1000), ..Transmit::new(to, &block) };
        assert_eq!(near.send_many(&[many(address), many(plain_address)]).await.unwrap(), 2);
        let expected: Vec<_> = block.chunks(1000).collect();
        // To a socket that has not asked for more at a time, one by one.
        let mut buf = [0; 2000];
        for part in &expected {
            let len = soon("a part", plain.recv(&mut buf)).await.unwrap();
            assert_eq!(&buf[..len], *part);
        }
        let (meta, datagrams) = receive_one(&far).await;
        assert_eq!((meta.sender, meta.len, meta.stride), (sender, 10_500, 1000));
        assert_eq!(datagrams, expected);
    });
}

#[test]
fn a_segment_as_long_as_the_rest_is_a_datagram() {
    run(async {
        let ((near, _), (far, address)) = (batch_socket().await, batch_socket().await);
        for size in [4, 5, 65_535] {
            let transmit = Transmit { segment_size: Some(size), ..Transmit::new(address, b"four") };
            assert_eq!(near.send_many(&[transmit]).await.unwrap(), 1);
            assert_eq!(receive_one(&far).await.1, [b"four"]);
        }
    });
}

#[test]
fn what_cannot_be_segmented_is_refused_and_spoils_nothing() {
    run(async {
        let ((near, _), (far, address)) = (batch_socket().await, batch_socket().await);
        let block = [7; 65];
        for (size, what) in [(0, "segments of 0 bytes"), (65_536, "segments of 65536 bytes"), (1, "65 segments")] {
            let transmit = Transmit { segment_size: Some(size), ..Transmit::new(address, &block) };
            let error = near.send_many(&[transmit]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().starts_with(what), "{error}");
        }
        assert_eq!(near.max_segments(), 64);
        let all = Transmit { segment_size: Some(1), ecn: Some(Ecn::Ce), ..Transmit::new(address, &block[1..]) };
        near.send_many(&[all]).await.unwrap();
        let (meta, datagrams) = receive_one(&far).await;
        assert_eq!((meta.ecn, datagrams.len()), (Some(Ecn::Ce), 64));
    });
}

#[test]
fn an_error_in_the_middle_is_that_of_the_next_call() {
    run(async {
        let ((near, _), (far, address)) = (batch_socket().await, batch_socket().await);
        let too_long = vec![7; 65_508];
        let transmits = [Transmit::new(address, b"a"), Transmit::new(address, &too_long), Transmit::new(address, b"b")];
        assert_eq!(near.send_many(&transmits).await.unwrap(), 1);
        let error = near.send_many(&transmits[1..]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::MSGSIZE.raw_os_error()));
        assert_eq!(near.send_many(&transmits[2..]).await.unwrap(), 1);
        // The same among those that are sent one by one.
        let transmits = transmits.map(|transmit| Transmit { ecn: Some(Ecn::Ect1), ..transmit });
        assert_eq!(near.send_many(&transmits).await.unwrap(), 1);
        let error = near.send_many(&transmits[1..]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::MSGSIZE.raw_os_error()));
        assert_eq!(receive_all(&far, 3).await, [b"a", b"b", b"a"]);
    });
}

#[test]
fn congestion_is_told_both_ways() {
    run(async {
        let mut hosts = vec!["127.0.0.1:0", "[::1]:0"];
        // A host may have no IPv6.
        hosts.retain(|host| std::net::UdpSocket::bind(host).is_ok());
        assert!(!hosts.is_empty());
        for host in hosts {
            let ((near, _), (far, address)) = (bound_to(host).await, bound_to(host).await);
            for ecn in [None, Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce)] {
                // Several that come together, where most is said of them.
                let transmit = Transmit { ecn, segment_size: Some(2), ..Transmit::new(address, b"aabbc") };
                assert_eq!(near.send_many(&[transmit]).await.unwrap(), 1);
                let (meta, datagrams) = receive_one(&far).await;
                assert_eq!((meta.ecn, meta.destination), (ecn, Some(address.ip())), "{host}");
                assert_eq!(datagrams, [&b"aa"[..], b"bb", b"c"]);
            }
        }
    });
}

#[test]
fn an_answer_comes_from_where_the_question_went() {
    run(async {
        let (server, address) = bound_to("0.0.0.0:0").await;
        let (client, _) = bound_to("0.0.0.0:0").await;
        // Loopback is a whole network.
        let [asked, asks] = [Ipv4Addr::new(127, 0, 0, 3), Ipv4Addr::new(127, 0, 0, 2)];
        let question = Transmit::new(SocketAddr::from((asked, address.port())), b"question");
        client.send_many(&[Transmit { source: Some(asks.into()), ..question }]).await.unwrap();
        let (meta, _) = receive_one(&server).await;
        assert_eq!((meta.sender.ip(), meta.destination), (IpAddr::from(asks), Some(asked.into())));

        let answer = Transmit { source: meta.destination, ..Transmit::new(meta.sender, b"answer") };
        server.send_many(&[answer]).await.unwrap();
        let (meta, datagrams) = receive_one(&client).await;
        assert_eq!((meta.sender, datagrams), (SocketAddr::from((asked, address.port())), vec![b"answer".to_vec()]));
    });
}

#[test]
fn a_short_buffer_cuts_a_datagram_and_no_other() {
    run(async {
        let ((near, _), (far, address)) = (batch_socket().await, batch_socket().await);
        near.send_many(&[Transmit::new(address, b"longer"), Transmit::new(address, b"next")]).await.unwrap();
        let (mut first, mut second) = ([0; 4], [0; 8]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let mut metas = [RecvMeta::default(); 2];
        assert_eq!(soon("both", far.recv_many(&mut bufs, &mut metas)).await.unwrap(), 2);
        let datagrams: Vec<&[u8]> = metas.iter().zip(&bufs).flat_map(|(meta, buf)| meta.datagrams(buf)).collect();
        assert_eq!(datagrams, [b"long", b"next"]);
    });
}

#[test]
fn a_receive_waits_and_one_that_is_dropped_takes_nothing() {
    run(async {
        let ((near, _), (far, address)) = (batch_socket().await, batch_socket().await);
        let (mut memory, mut metas) = ([0; 16], [RecvMeta::default()]);
        let mut bufs = [IoSliceMut::new(&mut memory)];
        assert_eq!(far.try_recv_many(&mut bufs, &mut metas).unwrap_err().kind(), ErrorKind::WouldBlock);
        {
            let mut receiving = pin!(far.recv_many(&mut bufs, &mut metas));
            assert!(!poll_once(receiving.as_mut()));
            assert_eq!(near.try_send_many(&[Transmit::new(address, b"kept")]).unwrap(), 1);
        }
        assert_eq!(soon("the datagram", far.recv_many(&mut bufs, &mut metas)).await.unwrap(), 1);
        assert_eq!((metas[0].len, &bufs[0][..4]), (4, &b"kept"[..]));

        let mut receiving = pin!(far.recv_many(&mut bufs, &mut metas));
        assert!(!poll_once(receiving.as_mut()));
        near.send_many(&[Transmit::new(address, b"x")]).await.unwrap();
        assert_eq!(soon("a datagram", receiving).await.unwrap(), 1);
    });
}

#[test]
fn tasks_that_share_a_socket_all_get_some() {
    run(async {
        let ((near, _), (far, address)) = (batch_socket().await, batch_socket().await);
        let far = Rc::new(far);
        let receivers: Vec<_> = (0..10)
            .map(|_| {
                let far = Rc::clone(&far);
                spawn(async move { receive(&far, 1).await.remove(0).1.remove(0) })
            })
            .collect();
        common::turn().await;
        let numbers: Vec<_> = (0..10_u8).map(|number| vec![number]).collect();
        let transmits: Vec<_> = numbers.iter().map(|number| Transmit::new(address, number)).collect();
        assert_eq!(near.send_many(&transmits).await.unwrap(), 10);
        let mut got = BTreeSet::new();
        for receiver in receivers {
            got.insert(soon("one for each", receiver).await.unwrap());
        }
        assert_eq!(got.into_iter().collect::<Vec<_>>(), numbers);
    });
}

#[test]
fn a_refusal_fails_one_call() {
    run(async {
        let (near, near_address) = batch_socket().await;
        let nobody = deserted();
        near.as_ref().connect(nobody).await.unwrap();
        near.send_many(&[Transmit::new(nobody, b"x")]).await.unwrap();
        let (mut memory, mut metas) = ([0; 16], [RecvMeta::default()]);
        let mut bufs = [IoSliceMut::new(&mut memory)];
        let error = soon("the refusal", near.recv_many(&mut bufs, &mut metas)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        near.as_ref().connect(near_address).await.unwrap();
        near.send_many(&[Transmit::new(near_address, b"to itself")]).await.unwrap();
        assert_eq!(receive_one(&near).await.1, [b"to itself"]);
    });
}

#[test]
fn a_refusal_ends_a_call() {
    run(async {
        let (near, _) = batch_socket().await;
        let nobody = deserted();
        near.as_ref().connect(nobody).await.unwrap();
        // Over loopback the refusal of one is there before the next one is sent.
        let sent = near.send_many(&[Transmit::new(nobody, b"x"); 8]).await.unwrap();
        assert!((1..8).contains(&sent), "{sent} were sent");
    });
}

#[test]
fn quinn_udp_does_its_calls_on_any_socket() {
    run(async {
        let ((near, sender), (far, address)) = (socket().await, socket().await);
        let near_state = quinn_udp::UdpSocketState::new((&near).into()).unwrap();
        let far_state = quinn_udp::UdpSocketState::new((&far).into()).unwrap();
        let mut memory = vec![0; 65_535];
        let mut metas = [quinn_udp::RecvMeta::default()];
        {
            let mut bufs = [IoSliceMut::new(&mut memory)];
            let receive = || far_state.recv((&far).into(), &mut bufs, &mut metas);
            let mut receiving = pin!(far.async_io(Interest::READABLE, receive));
            assert!(!poll_once(receiving.as_mut()));

            let contents = &[7; 2500];
            let (ecn, segment_size) = (Some(quinn_udp::EcnCodepoint::Ect0), Some(1000));
            let transmit = quinn_udp::Transmit { destination: address, ecn, contents, segment_size, src_ip: None };
            near.try_io(Interest::WRITABLE, || near_state.try_send((&near).into(), &transmit)).unwrap();
            assert_eq!(soon("datagrams", receiving).await.unwrap(), 1);
        }
        assert_eq!((metas[0].addr, metas[0].len, metas[0].stride), (sender, 2500, 1000));
        assert_eq!(metas[0].ecn, Some(quinn_udp::EcnCodepoint::Ect0));
        assert_eq!(memory[..2500], [7; 2500]);
    });
}
