//! What several of the servers have in common.

use std::net::TcpListener;

use aio_runtime::fs::{Buf, File};
use aio_runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use aio_runtime::net::TcpStream;
use anyhow::Result;

use crate::blocks;
use crate::workloads::echo::buffer_size;

pub async fn serve<C>(listener: TcpListener, connection: impl Fn(TcpStream) -> C) -> Result<()>
where
    C: Future<Output = Result<()>> + 'static,
{
    let listener = aio_runtime::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        aio_runtime::spawn(connection(stream));
    }
}

pub async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin, message: usize) -> Result<()> {
    let mut buffer = vec![0; buffer_size(message)];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

pub async fn read_block(file: &File, number: u64, into: Buf) -> Result<Buf> {
    let (done, block) = file.read_exact_at(into, blocks::offset(number)).await;
    done?;
    Ok(block)
}
