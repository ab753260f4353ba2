//! Sends back whatever it is sent. Try it with `nc 127.0.0.1 7000`.

use std::env;
use std::time::Duration;

use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::{io, time};

#[aio_runtime::main]
async fn main() -> Result<(), String> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let listener = TcpListener::bind(&addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {addr}");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(aio_runtime::spawn(echo(stream))),
            // Out of descriptors, most likely: some are free again when clients leave.
            Err(error) => {
                eprintln!("cannot accept: {error}");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn echo(stream: TcpStream) -> io::Result<u64> {
    // `copy` passes on 8 KiB at a time. Under Nagle's algorithm the last piece of a longer message
    // would wait 40 ms, for the acknowledgement that the client delays.
    stream.set_nodelay(true)?;
    io::copy(&stream, &mut &stream).await
}
