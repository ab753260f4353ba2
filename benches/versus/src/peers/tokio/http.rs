//! HTTP by hyper, on tokio's streams as hyper-util adapts them.

use std::fs::File;
use std::net::TcpListener;
use std::path;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;

use super::common::{read_block, runtime, serve};
use crate::blocks::{self, Access, Block};
use crate::workloads::http::{self, HEAD_TIMEOUT};

pub fn hello(listener: TcpListener) -> Result<()> {
    let http = builder();
    runtime()?.block_on(serve(listener, |stream| {
        let connection = http.serve_connection(TokioIo::new(stream), service_fn(http::hello));
        async { Ok(connection.await?) }
    }))
}

pub fn read(listener: TcpListener, path: &path::Path) -> Result<()> {
    let http = builder();
    let file = Arc::new(blocks::open(path, Access::DirectRead)?);
    let app = Router::new().route("/blocks/{number}", get(block)).with_state(file);
    let service = TowerToHyperService::new(app);
    runtime()?.block_on(serve(listener, |stream| {
        let connection = http.serve_connection(TokioIo::new(stream), service.clone());
        async { Ok(connection.await?) }
    }))
}

fn builder() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http
}

async fn block(State(file): State<Arc<File>>, Path(number): Path<u64>) -> Result<Bytes, StatusCode> {
    let block = <Block>::zeroed();
    let block = read_block(&file, number, block).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Bytes::from_owner(block))
}
