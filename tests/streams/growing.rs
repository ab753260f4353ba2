//! Reading into buffers that grow.

use std::io::ErrorKind;

use aio_runtime::io::AsyncWriteExt;
use bytes::{BufMut, BytesMut};

use super::stream_pair;
use crate::common::{run, soon};
use crate::kind::Stream;

#[test]
fn a_read_takes_what_there_is_room_for() {
    run(async {
        let (near, mut far) = stream_pair();
        let mut buf = Vec::with_capacity(4);
        assert_eq!(near.try_read_buf(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.write_all(b"four, five").await.unwrap();
        soon("data", near.readable()).await.unwrap();
        assert_eq!(near.try_read_buf(&mut buf).unwrap(), 4);
        assert_eq!((&buf[..], buf.capacity()), (&b"four"[..], 4));
        // It is full, and makes room.
        assert_eq!(near.try_read_buf(&mut buf).unwrap(), 6);
        assert_eq!(buf, b"four, five");
        assert_eq!(near.try_read_buf(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(buf, b"four, five");
        far.close().await.unwrap();
        soon("the end", near.readable()).await.unwrap();
        assert_eq!(near.try_read_buf(&mut buf).unwrap(), 0);
        assert_eq!(buf, b"four, five");
    });
}

#[test]
fn any_buffer_will_do() {
    run(async {
        let (near, mut far) = stream_pair();
        far.write_all(b"onethree").await.unwrap();
        soon("data", near.readable()).await.unwrap();
        let mut bytes = BytesMut::with_capacity(64);
        assert_eq!(near.try_read_buf(&mut (&mut bytes).limit(3)).unwrap(), 3);
        assert_eq!(bytes, "one");
        let mut array = [0; 8];
        let mut rest = &mut array[..];
        assert_eq!(near.try_read_buf(&mut rest).unwrap(), 5);
        assert_eq!(rest.len(), 3);
        assert_eq!(&array, b"three\0\0\0");
    });
}

#[test]
fn halves_read_too() {
    run(async {
        let (mut near, mut far) = stream_pair();
        far.write_all(b"onetwo").await.unwrap();
        soon("data", near.readable()).await.unwrap();
        let mut buf = Vec::with_capacity(3);
        let (reader, _writer) = Stream::split(&mut near);
        assert_eq!(reader.try_read_buf(&mut buf).unwrap(), 3);
        let (reader, _writer) = near.into_split();
        assert_eq!(reader.try_read_buf(&mut buf).unwrap(), 3);
        assert_eq!(buf, b"onetwo");
    });
}
