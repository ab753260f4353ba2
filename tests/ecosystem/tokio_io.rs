//! `tokio::io` and tokio-util on our streams, halves and pipes.

use std::io::{Cursor, IoSlice};

use aio_runtime::net::unix::{self, pipe};
use aio_runtime::net::{TcpStream, UnixStream, tcp};
use futures::{SinkExt, StreamExt};
use hyper::rt::{Read, Write};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio_util::codec::{Framed, LinesCodec};

use super::{LARGE, TEST_LIMIT, connect, limits, listen};

const fn reads<T: AsyncRead + Read + Unpin>() {}
const fn writes<T: AsyncWrite + Write + Unpin>() {}

/// What each type has: checked when this is compiled, with both features on.
const _: () = {
    reads::<TcpStream>();
    reads::<tcp::ReadHalf<'_>>();
    reads::<tcp::OwnedReadHalf>();
    reads::<UnixStream>();
    reads::<unix::ReadHalf<'_>>();
    reads::<unix::OwnedReadHalf>();
    reads::<pipe::Receiver>();
    writes::<TcpStream>();
    writes::<tcp::WriteHalf<'_>>();
    writes::<tcp::OwnedWriteHalf>();
    writes::<UnixStream>();
    writes::<unix::WriteHalf<'_>>();
    writes::<unix::OwnedWriteHalf>();
    writes::<pipe::Sender>();
};

#[aio_runtime::test]
async fn much_is_copied_both_ways() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let upstream = listen(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    })
    .await;
    let proxy = listen(move |mut client| async move {
        let mut upstream = connect(upstream).await;
        let copied = tokio::io::copy_bidirectional(&mut client, &mut upstream).await.unwrap();
        assert_eq!(copied, (LARGE as u64, LARGE as u64));
    })
    .await;
    let (mut reader, mut writer) = connect(proxy).await.into_split();
    let sent: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
    let writing = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    futures::join!(writing, async { reader.read_to_end(&mut received).await.unwrap() });
    assert!(sent == received);
}

#[aio_runtime::test]
async fn what_the_traits_add() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let (mut near, mut far) = UnixStream::pair().unwrap();
    near.write_u32(0xfeed_beef).await.unwrap();
    assert!(AsyncWrite::is_write_vectored(&near) && Write::is_write_vectored(&near));
    assert_eq!(near.write_vectored(&[IoSlice::new(b"one\n"), IoSlice::new(b"two\n")]).await.unwrap(), 8);
    near.write_all_buf(&mut Cursor::new(b"three")).await.unwrap();
    near.flush().await.unwrap();
    AsyncWriteExt::shutdown(&mut near).await.unwrap();
    assert_eq!(far.read_u32().await.unwrap(), 0xfeed_beef);
    let mut lines = BufReader::new(far).lines();
    for line in ["one", "two", "three"] {
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(line));
    }
    assert_eq!(lines.next_line().await.unwrap(), None);
    // Only the write side has ended.
    lines.into_inner().into_inner().write_all(b"back").await.unwrap();
    let mut back = Vec::with_capacity(3);
    assert_eq!(near.read_buf(&mut back).await.unwrap(), 3);
    assert_eq!(near.read_buf(&mut back).await.unwrap(), 1);
    assert_eq!(near.read_buf(&mut back).await.unwrap(), 0);
    assert_eq!(back, b"back");
}

#[aio_runtime::test]
async fn pipes_end_when_they_are_dropped() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let (mut sender, mut receiver) = pipe::pipe().unwrap();
    AsyncWriteExt::shutdown(&mut sender).await.unwrap();
    let writing = aio_runtime::spawn(async move {
        let mut sender = BufWriter::new(sender);
        sender.write_all(&vec![7; LARGE]).await.unwrap();
        sender.flush().await.unwrap();
    });
    let mut received = Vec::new();
    assert_eq!(receiver.read_to_end(&mut received).await.unwrap(), LARGE);
    assert!(received.iter().all(|byte| *byte == 7));
    writing.await.unwrap();
}

#[aio_runtime::test]
async fn a_codec_makes_messages() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let address = listen(|stream| async {
        let (mut answers, mut questions) = Framed::new(stream, LinesCodec::new()).split();
        while let Some(question) = questions.next().await {
            answers.send(format!("{}!", question.unwrap())).await.unwrap();
        }
    })
    .await;
    let mut lines = Framed::new(connect(address).await, LinesCodec::new());
    for number in 0..100 {
        lines.feed(format!("line {number}")).await.unwrap();
    }
    SinkExt::<String>::flush(&mut lines).await.unwrap();
    for number in 0..100 {
        assert_eq!(lines.next().await.unwrap().unwrap(), format!("line {number}!"));
    }
    lines.get_ref().shutdown().await.unwrap();
    assert!(lines.next().await.is_none());
}
