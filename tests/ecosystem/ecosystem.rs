//! hyper, axum, tonic, tokio-rustls, `tokio::io` and tokio-util on our streams, sleeps and tasks,
//! with the library's features on. There is no adapter here, and no runtime but ours.

mod axum;
mod hyper;
#[path = "../../reactor/tests/limits.rs"]
mod limits;
mod read_buf;
#[path = "../../examples/serve.rs"]
mod serve;
mod tls;
mod tokio_io;
mod tonic;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use ::hyper::body::{Bytes, Incoming};
use ::hyper::{Request, Response};
use aio_runtime::net::{TcpListener, TcpStream};
use http_body_util::{BodyExt, Full};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

/// What a buffer of a socket may hold. Left alone, it grows to megabytes, and hardly a write waits
/// for its reader.
const SOCKET_BUFFER: usize = 128 << 10;

/// More than the buffers of both ends hold.
const LARGE: usize = 8 << 20;

/// How long a test may take before it counts as hanging.
const TEST_LIMIT: Duration = Duration::from_secs(50);

/// Listens, and starts a task for each connection. What serves it is `Send`, so all that it holds.
async fn listen<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    bound_buffers(&listener); // Accepted streams inherit it.
    let address = listener.local_addr().unwrap();
    drop(aio_runtime::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            drop(aio_runtime::spawn(serve(stream)));
        }
    }));
    address
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    bound_buffers(&stream);
    stream
}

fn bound_buffers(socket: &impl AsFd) {
    set_socket_recv_buffer_size(socket, SOCKET_BUFFER).unwrap();
    set_socket_send_buffer_size(socket, SOCKET_BUFFER).unwrap();
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
