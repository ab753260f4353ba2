//! axum: a router through tower's `Service`, whose handlers sleep, do I/O and start tasks.

use std::net::SocketAddr;
use std::time::Duration;

use aio_runtime::hyper::AioTimer;
use aio_runtime::net::TcpStream;
use aio_runtime::time::sleep;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use tower::ServiceExt;

use super::{LARGE, TEST_LIMIT, connect, limits, listen, request};

/// axum asks for `Send` of a handler's future, so of all that it holds while it waits.
fn router(upstream: SocketAddr) -> Router {
    Router::new()
        .route(
            "/sleep/{millis}",
            get(|Path(millis): Path<u64>| async move {
                sleep(Duration::from_millis(millis)).await;
                format!("slept {millis} ms")
            }),
        )
        .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
        .route(
            "/ask",
            post(|State(upstream): State<SocketAddr>, question: String| async move {
                let mut stream = TcpStream::connect(upstream).await.unwrap();
                stream.write_all(question.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answer
            }),
        )
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(upstream)
}

#[aio_runtime::test]
async fn a_router_serves_a_connection() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let upstream = listen(|mut stream| async move {
        let mut question = String::new();
        stream.read_to_string(&mut question).await.unwrap();
        stream.write_all(format!("{question}? 42!").as_bytes()).await.unwrap();
    })
    .await;
    let router = router(upstream);
    let address = listen(move |stream| {
        let router = router.clone();
        let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request.map(Body::new)));
        async move { http1::Builder::new().timer(AioTimer).serve_connection(stream, service).await.unwrap() }
    })
    .await;
    let stream = connect(address).await;
    let (mut sender, connection) = handshake(stream).await.unwrap();
    let connection = aio_runtime::spawn(connection);

    let mut answer = async |request| {
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    };
    let mut slept = request("/sleep/3", "");
    *slept.method_mut() = hyper::Method::GET;
    assert_eq!(answer(slept).await, (StatusCode::OK, "slept 3 ms".into()));
    assert_eq!(answer(request("/length", vec![0; LARGE])).await, (StatusCode::OK, LARGE.to_string().into()));
    assert_eq!(answer(request("/ask", "6 * 7")).await, (StatusCode::OK, "6 * 7? 42!".into()));
    assert_eq!(answer(request("/nowhere", "")).await.0, StatusCode::NOT_FOUND);
    drop(sender);
    connection.await.unwrap().unwrap();
}
