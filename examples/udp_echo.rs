//! Sends back every datagram that it receives. Try it with `nc -u 127.0.0.1 7000`.

use std::env;

use aio_runtime::net::UdpSocket;

/// The longest datagram that IP can carry.
const LONGEST: usize = 65_535;

#[aio_runtime::main]
async fn main() -> Result<(), String> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let socket = UdpSocket::bind(&addr).await.map_err(|error| format!("cannot bind to {addr}: {error}"))?;
    println!("receiving at {addr}");
    let mut buf = vec![0; LONGEST];
    loop {
        let (len, peer) = socket.recv_from(&mut buf).await.map_err(|error| format!("cannot receive: {error}"))?;
        // One peer that cannot be reached is no reason to leave the others without an answer.
        if let Err(error) = socket.send_to(&buf[..len], peer).await {
            eprintln!("cannot answer {peer}: {error}");
        }
    }
}
