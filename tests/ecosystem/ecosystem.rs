//! hyper, axum and tokio-rustls on our streams, sleeps and tasks. They ask for `Send`, and for
//! nothing else: there is no wrapper and no `unsafe` here.

mod axum;
mod hyper;
mod rt;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;

use ::hyper::body::{Bytes, Incoming};
use ::hyper::{Request, Response};
use aio_runtime::net::{TcpListener, TcpStream};
use http_body_util::{BodyExt, Full};

/// More than a socket holds.
const LARGE: usize = 8 << 20;

/// Listens, and starts a task for each connection. A task need not be `Send`; what serves a
/// connection here is, with the streams and timers that it holds.
async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(aio_runtime::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            drop(aio_runtime::spawn(serve(stream)));
        }
    }));
    address
}

/// Sends back the method, the path and the body.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let about = format!("{} {}", request.method(), request.uri().path());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::builder().header("about", about).body(Full::new(body)).unwrap())
}

fn request(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(path).header("host", "localhost").body(Full::new(body.into())).unwrap()
}

/// Checks an [`echo`].
async fn assert_echo(response: Response<Incoming>, path: &str, body: &[u8]) {
    assert!(response.status().is_success());
    assert_eq!(response.headers()["about"], format!("POST {path}"));
    assert!(response.into_body().collect().await.unwrap().to_bytes() == body);
}
