//! The attributes of [aio-runtime]: [`main`](macro@main) and [`test`](macro@test).
//!
//! Use them through that crate, as `#[aio_runtime::main]` and `#[aio_runtime::test]`.
//!
//! [aio-runtime]: https://docs.rs/aio-runtime

// How it works: this file has the two attributes, `args.rs` parses what is in the parentheses, and
// `entry.rs` turns the `async fn` into a plain `fn`. The latter two use `proc_macro2`, so their
// tests run without the compiler.

#![forbid(unsafe_code)]

mod args;
mod entry;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

use crate::entry::Role;

/// Runs an `async fn` on a runtime of its own.
///
/// It is meant for `main`, and works on any `async fn`. The function becomes a plain one, which
/// builds a runtime on its thread, blocks on the body, and returns what the body returns. Tasks
/// that are not complete by then are dropped.
///
/// ```
/// #[aio_runtime::main]
/// async fn main() -> std::io::Result<()> {
///     let listener = aio_runtime::net::TcpListener::bind("127.0.0.1:0").await?;
///     println!("listening on {}", listener.local_addr()?);
///     Ok(())
/// }
/// ```
///
/// # Arguments
///
/// All are optional. The first two call a method of `aio_runtime::runtime::Builder`.
///
/// | argument | meaning |
/// |---|---|
/// | `capacity = 4096` | `capacity`: how many requests the kernel may have in flight |
/// | `spin_us = 50` | `spin`, in microseconds: how long to watch for completions before sleeping |
/// | `flavor = "current_thread"` | nothing: it is the only flavor, for code written for tokio |
/// | `crate = "path"` | where to find `aio_runtime`, if it is renamed or re-exported |
///
/// # Panics
///
/// If the runtime cannot start. The message is the error's own text, which names what to change.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(Role::Main, args.into(), item.into()).into()
}

/// Turns an `async fn` into a `#[test]` that runs on a runtime of its own.
///
/// ```
/// #[aio_runtime::test]
/// async fn sleeps_at_least_as_long_as_asked() {
///     let start = std::time::Instant::now();
///     aio_runtime::time::sleep(std::time::Duration::from_millis(5)).await;
///     assert!(start.elapsed() >= std::time::Duration::from_millis(5));
/// }
/// ```
///
/// `#[should_panic]`, `#[ignore]` and a returned `Result` work as with `#[test]`. The arguments are
/// those of [`main`](macro@main).
///
/// # Panics
///
/// If the runtime cannot start, which fails the test.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(Role::Test, args.into(), item.into()).into()
}
