//! HTTP by hyper, directly on our streams.

use std::net::TcpListener;
use std::path;
use std::sync::Arc;

use aio_runtime::Runtime;
use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::hyper::AioTimer;
use anyhow::Result;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;

use super::common::{read_block, serve};
use crate::blocks::BLOCK_SIZE;
use crate::workloads::http::{self, HEAD_TIMEOUT};

pub fn hello(listener: TcpListener) -> Result<()> {
    let http = builder();
    Runtime::new()?.block_on(serve(listener, |stream| {
        let connection = http.serve_connection(stream, service_fn(http::hello));
        async { Ok(connection.await?) }
    }))
}

pub fn read(listener: TcpListener, path: &path::Path) -> Result<()> {
    let http = builder();
    Runtime::new()?.block_on(async {
        let file = OpenOptions::new().read(true).direct(true).open(path).await?;
        let app = Router::new().route("/blocks/{number}", get(block)).with_state(Arc::new(file));
        let service = TowerToHyperService::new(app);
        serve(listener, |stream| {
            let connection = http.serve_connection(stream, service.clone());
            async { Ok(connection.await?) }
        })
        .await
    })
}

fn builder() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(AioTimer).header_read_timeout(HEAD_TIMEOUT);
    http
}

async fn block(State(file): State<Arc<File>>, Path(number): Path<u64>) -> Result<Bytes, StatusCode> {
    let block = Buf::aligned(BLOCK_SIZE, BLOCK_SIZE);
    let block = read_block(&file, number, block).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Bytes::from_owner(block))
}
