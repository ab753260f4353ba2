//! A web application: JSON, parameters in a path, downloads of files. It ends gracefully.
//!
//! ```sh
//! axum_app 127.0.0.1:8001 .    # the folder that it offers
//! curl http://127.0.0.1:8001/greetings/you
//! curl --json '{"text": "quiet"}' http://127.0.0.1:8001/shout
//! curl -O http://127.0.0.1:8001/files/Cargo.toml
//! ```

mod serve;

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use aio_runtime::fs::File;
use aio_runtime::hyper::AioTimer;
use aio_runtime::io::AsyncReadExt;
use aio_runtime::net::{TcpListener, UnixStream};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{TryStream, stream};
use hyper::server::conn::http1;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};

#[derive(Serialize, Deserialize)]
struct Words {
    text: String,
}

#[aio_runtime::main]
async fn main() -> Result<(), String> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let folder = PathBuf::from(args.next().unwrap_or_else(|| ".".to_owned()));
    let app = Router::new()
        .route("/greetings/{name}", get(async |Path(name): Path<String>| format!("Good morning, {name}.\n")))
        .route("/shout", post(async |Json(said): Json<Words>| Json(Words { text: said.text.to_uppercase() })))
        .route("/files/{name}", get(download))
        .with_state(folder);
    let listener = TcpListener::bind(&addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    let stop = stop_signal().map_err(|error| format!("cannot watch for signals: {error}"))?;
    println!("listening on {addr}");

    let mut http = http1::Builder::new();
    http.timer(AioTimer).header_read_timeout(Duration::from_secs(30));
    let service = TowerToHyperService::new(app);
    serve::serve(listener, stop, |stream| http.serve_connection(stream, service.clone())).await;
    println!("stopped");
    Ok(())
}

/// A file of the folder itself: a name with a slash in it, or `..`, has none.
async fn download(State(folder): State<PathBuf>, Path(name): Path<String>) -> Response {
    if FilePath::new(&name).file_name() != Some(name.as_ref()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let opened = async {
        let file = File::open(folder.join(name)).await?;
        let metadata = file.metadata().await?;
        io::Result::Ok((file, metadata))
    };
    match opened.await {
        Ok((file, metadata)) if metadata.is_file() => {
            ([(header::CONTENT_LENGTH, metadata.len())], Body::from_stream(blocks(file))).into_response()
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The blocks of a file, each read when the client has taken the one before.
fn blocks(file: File) -> impl TryStream<Ok = Vec<u8>, Error = io::Error> + Send {
    stream::try_unfold((file, 0), async |(file, offset)| {
        let (read, block) = file.read_at(vec![0; 64 << 10], offset).await;
        let mut block = Vec::from(block);
        block.truncate(read?);
        let next = (file, offset + block.len() as u64);
        Ok((!block.is_empty()).then_some((block, next)))
    })
}

/// Ready when the process is asked to end, by Ctrl-C or `kill`: the signal writes to a socket.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (told, teller) = StdStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, teller.try_clone()?)?;
    }
    let mut told = UnixStream::from_std(told)?;
    Ok(async move { told.read_exact(&mut [0]).await.expect("the handlers hold the other end") })
}
