//! tonic: a gRPC service over HTTP/2, without the transport of tonic's, which is tokio's. Served as
//! the examples serve.

use std::convert::Infallible;
use std::time::Duration;

use aio_runtime::hyper::{AioExecutor, AioTimer};
use aio_runtime::net::TcpListener;
use aio_runtime::time::sleep;
use bytes::{Buf, BufMut};
use futures::channel::oneshot;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt};
use http::uri::PathAndQuery;
use hyper::client::conn::http2::handshake;
use hyper::server::conn::http2;
use hyper_util::service::TowerToHyperService;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use tower::{Service, service_fn};

use super::{TEST_LIMIT, connect, limits, serve};

/// Messages that are text. What tonic generates from a `.proto` file has protobuf's here.
#[derive(Clone, Copy, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buf.copy_to_bytes(buf.remaining()).into();
        String::from_utf8(bytes).map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// As tonic generates it for a service with two methods.
#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "test.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        async move {
            let mut grpc = tonic::server::Grpc::new(Text);
            Ok(match request.uri().path() {
                "/test.Greeter/Greet" => grpc.unary(service_fn(greet), request).await,
                "/test.Greeter/Count" => grpc.server_streaming(service_fn(count), request).await,
                _ => Status::unimplemented("").into_http(),
            })
        }
        .boxed()
    }
}

async fn greet(request: Request<String>) -> Result<Response<String>, Status> {
    sleep(Duration::from_millis(3)).await;
    match request.into_inner() {
        name if name.is_empty() => Err(Status::invalid_argument("nobody")),
        name => Ok(Response::new(format!("hello {name}"))),
    }
}

async fn count(request: Request<String>) -> Result<Response<BoxStream<'static, Result<String, Status>>>, Status> {
    let last = request.into_inner().parse::<u32>().map_err(|error| Status::invalid_argument(error.to_string()))?;
    let numbers = stream::iter(1..=last).then(|number| async move {
        sleep(Duration::from_micros(300)).await;
        Ok(number.to_string())
    });
    Ok(Response::new(numbers.boxed()))
}

#[aio_runtime::test]
async fn a_service_answers_and_streams_and_ends_gracefully() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = connect(listener.local_addr().unwrap()).await;
    let service = TowerToHyperService::new(Routes::new(Greeter));
    let mut http = http2::Builder::new(AioExecutor);
    http.timer(AioTimer).keep_alive_interval(Duration::from_millis(20));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = aio_runtime::spawn(async move {
        let connect = |stream| http.serve_connection(stream, service.clone());
        serve::serve(listener, stopped.map(drop), connect).await;
    });

    let (sender, connection) = handshake(AioExecutor, stream).await.unwrap();
    let connection = aio_runtime::spawn(connection);
    let channel = service_fn(move |request| sender.clone().send_request(request));
    let mut client = tonic::client::Grpc::with_origin(channel, "http://localhost".parse().unwrap());

    let greet = PathAndQuery::from_static("/test.Greeter/Greet");
    let answer = client.unary(Request::new("you".to_owned()), greet.clone(), Text).await.unwrap();
    assert_eq!(answer.into_inner(), "hello you");
    let refused = client.unary(Request::new(String::new()), greet, Text).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "nobody"));
    let nowhere = PathAndQuery::from_static("/test.Nobody/Greet");
    let unknown = client.unary(Request::new(String::new()), nowhere, Text).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);

    let count = PathAndQuery::from_static("/test.Greeter/Count");
    let mut numbers = client.server_streaming(Request::new("100".to_owned()), count, Text).await.unwrap().into_inner();
    assert_eq!(numbers.message().await.unwrap().as_deref(), Some("1"));
    // The stream has begun, so it goes on to its end.
    stop.send(()).unwrap();
    for number in 2..=100 {
        assert_eq!(numbers.message().await.unwrap(), Some(number.to_string()));
    }
    assert_eq!(numbers.message().await.unwrap(), None);
    server.await.unwrap();
    connection.await.unwrap().unwrap();
}
