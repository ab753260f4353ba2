//! tokio-rustls: TLS over our streams, by tokio's traits.

use std::net::SocketAddr;
use std::sync::Arc;

use aio_runtime::net::TcpStream;
use hyper::client::conn::http1::handshake;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use super::{LARGE, TEST_LIMIT, assert_echo, echo, limits, listen, request};

/// The two ends' configurations, with a certificate made for this test.
fn ends() -> (TlsAcceptor, TlsConnector) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let server = server.unwrap().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server).into(), Arc::new(client).into())
}

/// Connects, and says who it wants to speak with.
async fn connect(connector: &TlsConnector, address: SocketAddr) -> client::TlsStream<TcpStream> {
    let stream = super::connect(address).await;
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream).await.unwrap()
}

#[aio_runtime::test]
async fn bytes_go_both_ways_and_end() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let (acceptor, connector) = ends();
    let address = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let (mut read, mut write) = tokio::io::split(acceptor.accept(stream).await.unwrap());
            tokio::io::copy(&mut read, &mut write).await.unwrap();
            write.shutdown().await.unwrap();
        }
    })
    .await;
    let (mut read, mut write) = tokio::io::split(connect(&connector, address).await);
    let sent: Vec<u8> = (0..LARGE).map(|at| at as u8).collect();
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    futures::join!(writing, async { read.read_to_end(&mut received).await.unwrap() });
    assert!(sent == received);
}

#[aio_runtime::test]
async fn hyper_serves_over_tls() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let (acceptor, connector) = ends();
    let address = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(echo)).await.unwrap();
        }
    })
    .await;
    let stream = connect(&connector, address).await;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    let connection = aio_runtime::spawn(connection);
    for length in [1, LARGE] {
        let body = vec![b'x'; length];
        let response = sender.send_request(request("/tls", body.clone())).await.unwrap();
        assert_echo(response, "/tls", &body).await;
    }
    drop(sender);
    connection.await.unwrap().unwrap();
}
