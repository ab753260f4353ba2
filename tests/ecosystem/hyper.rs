//! hyper: HTTP/1 and HTTP/2, server and client, with a timer.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use aio_runtime::hyper::{AioExecutor, AioTimer};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::time::{Instant, Sleep, sleep, timeout};
use futures::future::{join_all, poll_immediate};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use hyper::client::conn as client;
use hyper::rt::Timer;
use hyper::server::conn as server;
use hyper::service::service_fn;

use super::{LARGE, TEST_LIMIT, assert_echo, connect, echo, limits, listen, request};

#[aio_runtime::test]
async fn http_1_with_several_requests_on_a_connection() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let address = listen(|stream| async {
        server::http1::Builder::new().timer(AioTimer).serve_connection(stream, service_fn(echo)).await.unwrap();
    })
    .await;
    let stream = connect(address).await;
    let (mut sender, connection) = client::http1::handshake(stream).await.unwrap();
    let connection = aio_runtime::spawn(connection);
    for length in [0, 1, 10_000, LARGE, 5] {
        let (path, body) = (format!("/{length}"), vec![b'x'; length]);
        let response = sender.send_request(request(&path, body.clone())).await.unwrap();
        assert_echo(response, &path, &body).await;
    }
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[aio_runtime::test]
async fn http_1_ends_a_connection_whose_request_does_not_come_in_time() {
    let _watchdog = limits::begin(TEST_LIMIT);
    const LIMIT: Duration = Duration::from_millis(50);
    // Before the server can start its timer, which is within our connect.
    let begin = Instant::now();
    let (ended, _) = serve_a_peer_that_only_says(b"POST / HT", |stream| {
        let mut http = server::http1::Builder::new();
        http.timer(AioTimer).header_read_timeout(LIMIT);
        http.serve_connection(stream, service_fn(echo))
    })
    .await;
    assert!(begin.elapsed() >= LIMIT);
    let error = ended.unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[aio_runtime::test]
async fn http_2_with_many_requests_at_once() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let address = listen(|stream| async {
        let mut http = server::http2::Builder::new(AioExecutor);
        http.timer(AioTimer).keep_alive_interval(Duration::from_millis(20));
        http.serve_connection(stream, service_fn(echo)).await.unwrap();
    })
    .await;
    let stream = connect(address).await;
    let mut http = client::http2::Builder::new(AioExecutor);
    http.timer(AioTimer).keep_alive_interval(Duration::from_millis(20)).keep_alive_while_idle(true);
    let (sender, connection) = http.handshake(stream).await.unwrap();
    let connection = aio_runtime::spawn(connection);
    join_all((0..50).map(|number| {
        let mut sender = sender.clone();
        async move {
            let (path, body) = (format!("/{number}"), vec![b'0' + (number % 10) as u8; number * 10_000]);
            let response = sender.send_request(request(&path, body.clone())).await.unwrap();
            assert_echo(response, &path, &body).await;
        }
    }))
    .await;
    // Idle, while the timers of both sides send pings.
    sleep(Duration::from_millis(100)).await;
    let (mut sender, body) = (sender, vec![b'x'; LARGE]);
    assert_echo(sender.send_request(request("/late", body.clone())).await.unwrap(), "/late", &body).await;
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[aio_runtime::test]
async fn http_2_ends_a_connection_whose_peer_does_not_answer_a_ping() {
    let _watchdog = limits::begin(TEST_LIMIT);
    const LIMIT: Duration = Duration::from_millis(50);
    const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0];
    let begin = Instant::now();
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", EMPTY_SETTINGS].concat();
    let (ended, answer) = serve_a_peer_that_only_says(&preface, |stream| {
        let mut http = server::http2::Builder::new(AioExecutor);
        http.timer(AioTimer).keep_alive_interval(LIMIT).keep_alive_timeout(LIMIT);
        http.serve_connection(stream, service_fn(echo))
    })
    .await;
    assert!(begin.elapsed() >= 2 * LIMIT);
    assert!(answer.windows(PING.len()).any(|frame| frame == PING));
    let error = ended.unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[aio_runtime::test]
async fn a_service_need_not_be_send() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = connect(listener.local_addr().unwrap()).await;
    let (stream, _) = listener.accept().await.unwrap();
    let served = Rc::new(Cell::new(0));
    let counting = service_fn({
        let served = served.clone();
        move |request| {
            let served = served.clone();
            async move {
                served.set(served.get() + 1);
                echo(request).await
            }
        }
    });
    let server = aio_runtime::spawn(server::http2::Builder::new(AioExecutor).serve_connection(stream, counting));
    let (mut sender, connection) = client::http2::handshake(AioExecutor, client).await.unwrap();
    let connection = aio_runtime::spawn(connection);
    for path in ["/one", "/two"] {
        assert_echo(sender.send_request(request(path, "")).await.unwrap(), path, b"").await;
    }
    assert_eq!(served.get(), 2);
    drop(sender);
    connection.await.unwrap().unwrap();
    server.await.unwrap().unwrap();
}

#[aio_runtime::test]
async fn a_timer_is_set_anew() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let begin = AioTimer.now();
    let mut sleep = AioTimer.sleep(TEST_LIMIT);
    // Its timer is in the runtime from here on.
    assert!(poll_immediate(&mut sleep).await.is_none());
    let deadline = begin + Duration::from_millis(20);
    AioTimer.reset(&mut sleep, deadline);
    assert!(sleep.is::<Sleep>());
    sleep.await;
    assert!(AioTimer.now() >= deadline);

    // Another one's sleep is replaced.
    let mut sleep: Pin<Box<dyn hyper::rt::Sleep>> = Box::pin(Never);
    AioTimer.reset(&mut sleep, deadline);
    sleep.await;
}

struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl hyper::rt::Sleep for Never {}

/// How the service of the peer ended, and what the peer has read until then.
async fn serve_a_peer_that_only_says<F>(
    words: &[u8],
    serve: impl FnOnce(TcpStream) -> F + 'static,
) -> (hyper::Result<()>, Vec<u8>)
where
    F: Future<Output = hyper::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = connect(listener.local_addr().unwrap()).await;
    let server = aio_runtime::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    peer.write_all(words).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), peer.read_to_end(&mut answer)).await.unwrap().unwrap();
    (server.await.unwrap(), answer)
}
