//! More streams than slots, most of them idle: they wait in the nested epoll, are demoted to it,
//! or have the context grow. Then all are closed at once.

use std::rc::Rc;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::UnixStream;
use aio_runtime::time::timeout;
use futures::stream::{FuturesUnordered, StreamExt};

use crate::random::Random;
use crate::world::PATIENCE;

/// The most streams of a crowd.
pub(crate) const MOST: usize = 1500;

/// One crowd after another, for a runtime of this capacity.
pub(crate) async fn crowds(random: Rc<Random>, capacity: usize) {
    let most = (2 * capacity).clamp(32, MOST);
    while random.next_op() {
        let mut peers = Vec::new();
        let mut waits = FuturesUnordered::new();
        for _ in 0..1 + random.below(most) {
            let (near, far) = UnixStream::pair().unwrap();
            peers.push(far);
            waits.push(hears(near));
        }
        for _ in 0..random.below(200) {
            if !random.next_op() {
                break;
            }
            let speaker = random.below(peers.len());
            peers[speaker].write_all(&speaker.to_le_bytes()).await.unwrap();
            // Nothing else polls it: it is woken, or is lost.
            let heard = timeout(PATIENCE, waits.next()).await;
            let (near, heard) = heard.expect("the stream whose peer has written is woken").unwrap();
            assert_eq!(heard, speaker, "the stream that reads is the one whose peer has written");
            waits.push(hears(near));
        }
    }
}

async fn hears(mut stream: UnixStream) -> (UnixStream, usize) {
    let mut word = [0; size_of::<usize>()];
    stream.read_exact(&mut word).await.unwrap();
    (stream, usize::from_le_bytes(word))
}
