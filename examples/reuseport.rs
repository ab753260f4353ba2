//! Sends back lines, on all cores: each has a runtime of its own, and a listener on the same port.
//! The line `quit` ends the server. Try it with `nc 127.0.0.1 7000`, several times.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use aio_runtime::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use aio_runtime::net::{TcpSocket, TcpStream};
use aio_runtime::{Core, time};
use futures::future::{Either, select};

/// The longest line, in bytes: a longer one is sent back in parts.
const LONGEST: u64 = 4096;

fn main() -> Result<(), String> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let addr = addr.parse().map_err(|error| format!("{addr}: {error}"))?;
    let served = aio_runtime::per_core(|core| serve(core, addr)).map_err(|error| error.to_string())?;
    println!("served by each core: {served:?}");
    Ok(())
}

/// Returns how many clients it has served.
async fn serve(core: Core, addr: SocketAddr) -> io::Result<usize> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    let listener = socket.listen(1024)?;
    println!("{core} listens on {addr}");
    let mut served = 0;
    while let Either::Left((accepted, _)) = select(pin!(listener.accept()), core.stopped()).await {
        match accepted {
            Ok((client, _)) => {
                served += 1;
                aio_runtime::spawn(echo(client, core.clone()));
            }
            // Out of descriptors, most likely: some are free again when clients leave.
            Err(error) => {
                eprintln!("{core} cannot accept: {error}");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(served)
}

async fn echo(client: TcpStream, core: Core) -> io::Result<()> {
    let (reader, mut writer) = client.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await? > 0 {
        let text = String::from_utf8_lossy(&line);
        if text.trim_end() == "quit" {
            core.stop();
            break;
        }
        writer.write_all(format!("core {}: {}\n", core.index(), text.trim_end()).as_bytes()).await?;
        line.clear();
    }
    Ok(())
}
