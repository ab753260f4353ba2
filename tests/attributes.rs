//! `#[aio_runtime::test]` and `#[aio_runtime::main]`, as a program uses them.

use std::time::Duration;

use aio_runtime::time::sleep;
use aio_runtime::{Handle, spawn};

#[aio_runtime::test]
async fn a_test_runs_in_a_runtime() {
    sleep(Duration::from_millis(1)).await;
    assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
}

#[aio_runtime::test]
async fn a_test_yields_a_result() -> std::io::Result<()> {
    aio_runtime::net::TcpListener::bind("127.0.0.1:0").await?;
    Ok(())
}

#[aio_runtime::test]
#[should_panic(expected = "as it should")]
async fn a_test_panics() {
    sleep(Duration::from_millis(1)).await;
    panic!("as it should");
}

#[aio_runtime::test(flavor = "current_thread", capacity = 10)]
async fn a_test_has_settings() {
    let capacity = Handle::current().metrics().capacity;
    assert!((10..4096).contains(&capacity), "{capacity}");
}

#[aio_runtime::main]
async fn main_like(number: &std::cell::Cell<u32>) -> u32 {
    sleep(Duration::from_millis(1)).await;
    number.replace(2)
}

#[test]
fn a_function_under_main_runs_in_a_runtime() {
    let number = std::cell::Cell::new(1);
    assert_eq!(main_like(&number), 1);
    assert_eq!(number.get(), 2);
}
