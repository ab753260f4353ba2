//! Passes TCP connections on to another address, both ways: `proxy 127.0.0.1:8000 127.0.0.1:80`.
//! When one side has finished sending, the other is told, and may go on.

use std::env;
use std::time::Duration;

use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::{io, time};

#[aio_runtime::main]
async fn main() -> Result<(), String> {
    let [from, to] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "usage: proxy FROM TO")?;
    let listener = TcpListener::bind(&from).await.map_err(|error| format!("cannot listen on {from}: {error}"))?;
    println!("passing {from} on to {to}");
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                let to = to.clone();
                aio_runtime::spawn(async move {
                    if let Err(error) = relay(client, &to).await {
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

async fn relay(mut client: TcpStream, to: &str) -> io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
