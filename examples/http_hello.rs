//! Answers every request over HTTP/1. Try it with `curl http://127.0.0.1:8000/`.

use std::convert::Infallible;
use std::env;
use std::time::Duration;

use aio_runtime::hyper::AioTimer;
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::time;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

#[aio_runtime::main]
async fn main() -> Result<(), String> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let listener = TcpListener::bind(&addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {addr}");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                aio_runtime::spawn(async move {
                    if let Err(error) = serve(stream).await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
            // Out of descriptors, most likely: some are free again when clients leave.
            Err(error) => {
                eprintln!("cannot accept: {error}");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream) -> hyper::Result<()> {
    http1::Builder::new()
        // Ends the connection of a client that asks for nothing: it costs a descriptor.
        .timer(AioTimer)
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(stream, service_fn(hello))
        .await
}

async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(format!("hello from {}\n", request.uri().path())))
}
