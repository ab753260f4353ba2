//! Sends back whatever it is sent, over TLS. It prints the certificate that it has made for
//! localhost:
//!
//! ```sh
//! tls_echo 127.0.0.1:7443 > certificate &
//! openssl s_client -connect 127.0.0.1:7443 -servername localhost -CAfile certificate
//! ```

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::time;
use tokio::io::{AsyncWriteExt, copy, split};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

#[aio_runtime::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7443".to_owned());
    let acceptor = acceptor()?;
    let listener = TcpListener::bind(&addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {addr}");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let acceptor = acceptor.clone();
                aio_runtime::spawn(async move {
                    if let Err(error) = echo(stream, acceptor).await {
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

async fn echo(stream: TcpStream, acceptor: TlsAcceptor) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // Our stream has tokio's traits (feature `tokio-io`), so the TLS stream on it has them too.
    let (mut reader, mut writer) = split(time::timeout(HANDSHAKE, acceptor.accept(stream)).await??);
    copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}

/// With a new key, and a certificate that it has signed itself.
fn acceptor() -> Result<TlsAcceptor, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    println!("{}", made.cert.pem());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
