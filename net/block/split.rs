//! The two halves of a stream, borrowed or owned.

use std::io;
use std::sync::Arc;

/// A stream whose write side can be ended while reading goes on.
pub(crate) trait ShutdownWrite {
    /// Ends the write side.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// The write side of a stream that two halves own together. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct WriteSide<S: ShutdownWrite> {
    stream: Arc<S>,
    shutdown_on_drop: bool,
}

/// The stream for the half that reads, and its write side for the other one.
pub(crate) fn into_split<S: ShutdownWrite>(stream: S) -> (Arc<S>, WriteSide<S>) {
    let stream = Arc::new(stream);
    (Arc::clone(&stream), WriteSide { stream, shutdown_on_drop: true })
}

/// Undoes [`into_split`]. If the two are not of one stream they are returned.
pub(crate) fn reunite<S: ShutdownWrite>(stream: Arc<S>, write: WriteSide<S>) -> Result<S, (Arc<S>, WriteSide<S>)> {
    if !Arc::ptr_eq(&stream, &write.stream) {
        return Err((stream, write));
    }
    write.forget();
    Ok(Arc::into_inner(stream).expect("a stream has two halves, and the other one is gone"))
}

impl<S: ShutdownWrite> WriteSide<S> {
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown_write()?;
        // Once is enough.
        self.shutdown_on_drop = false;
        Ok(())
    }

    /// Drops it and leaves the write side open.
    pub(crate) fn forget(mut self) {
        self.shutdown_on_drop = false;
    }
}

impl<S: ShutdownWrite> Drop for WriteSide<S> {
    fn drop(&mut self) {
        if self.shutdown_on_drop {
            // Fails only where the connection has ended already.
            let _ = self.stream.shutdown_write();
        }
    }
}

/// Defines the halves of a stream type; part of `stream_surface!`.
macro_rules! split_types {
    ($Stream:ident { kind: $Kind:ty, addr: $Addr:ty }) => {
        #[doc = concat!("The half of a borrowed [`", stringify!($Stream), "`] that reads.")]
        pub struct ReadHalf<'a>(&'a $Stream);

        #[doc = concat!("The half of a borrowed [`", stringify!($Stream), "`] that writes.")]
        ///
        /// Closing it ends the write side; dropping it does not.
        pub struct WriteHalf<'a>(&'a $Stream);

        #[doc = concat!("The half of a [`", stringify!($Stream), "`] that reads.")]
        ///
        /// The descriptor is closed when both halves have been dropped.
        pub struct OwnedReadHalf(std::sync::Arc<$Stream>);

        #[doc = concat!("The half of a [`", stringify!($Stream), "`] that writes.")]
        ///
        /// Dropping it ends the write side: the peer reads end of file after what was written. The
        /// descriptor is closed when both halves have been dropped.
        pub struct OwnedWriteHalf($crate::net::block::split::WriteSide<$Stream>);

        /// The halves that were to be reunited are of different streams. Returns them.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        const _: () = {
            use std::{error, fmt, io};

            use $crate::net::block::split;

            impl $Stream {
                /// Splits the stream into halves that borrow it.
                ///
                /// With the `AsyncReadExt` of `futures` in scope, `stream.split()` is that trait's
                /// method, which
                #[doc = concat!("takes the stream. Call this one as `", stringify!($Stream), "::split(&mut stream)`.")]
                pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
                    (ReadHalf(self), WriteHalf(self))
                }

                /// Splits the stream into halves that own it together, for two tasks.
                pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                    let (read, write) = split::into_split(self);
                    (OwnedReadHalf(read), OwnedWriteHalf(write))
                }
            }

            impl WriteHalf<'_> {
                /// Ends the write side: the peer reads end of file after what was written.
                ///
                /// # Errors
                ///
                /// Those of `shutdown(2)`, except `ENOTCONN`.
                pub async fn shutdown(&mut self) -> io::Result<()> {
                    self.shutdown_write()
                }

                fn shutdown_write(&mut self) -> io::Result<()> {
                    self.block().shutdown_write()
                }
            }

            impl OwnedReadHalf {
                /// Puts the two halves together again.
                ///
                /// # Errors
                ///
                /// Both halves, if they are not of one stream.
                pub fn reunite(self, write: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
                    split::reunite(self.0, write.0)
                        .map_err(|(read, write)| ReuniteError(OwnedReadHalf(read), OwnedWriteHalf(write)))
                }
            }

            impl OwnedWriteHalf {
                /// Puts the two halves together again.
                ///
                /// # Errors
                ///
                /// Both halves, if they are not of one stream.
                pub fn reunite(self, read: OwnedReadHalf) -> Result<$Stream, ReuniteError> {
                    read.reunite(self)
                }

                /// Drops the half and leaves the write side open.
                pub fn forget(self) {
                    self.0.forget();
                }

                /// Ends the write side: the peer reads end of file after what was written.
                ///
                /// # Errors
                ///
                /// Those of `shutdown(2)`, except `ENOTCONN`.
                pub async fn shutdown(&mut self) -> io::Result<()> {
                    self.shutdown_write()
                }

                fn shutdown_write(&mut self) -> io::Result<()> {
                    self.0.shutdown_write()
                }
            }

            impl AsRef<$Stream> for ReadHalf<'_> {
                fn as_ref(&self) -> &$Stream {
                    self.0
                }
            }

            impl AsRef<$Stream> for WriteHalf<'_> {
                fn as_ref(&self) -> &$Stream {
                    self.0
                }
            }

            impl AsRef<$Stream> for OwnedReadHalf {
                fn as_ref(&self) -> &$Stream {
                    &self.0
                }
            }

            impl AsRef<$Stream> for OwnedWriteHalf {
                fn as_ref(&self) -> &$Stream {
                    self.0.stream()
                }
            }

            impl fmt::Display for ReuniteError {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("tried to reunite halves that are not from the same stream")
                }
            }

            impl error::Error for ReuniteError {}
        };

        $crate::net::block::split::half!(reads ReadHalf<'_>, $Stream, $Kind, $Addr);
        $crate::net::block::split::half!(reads OwnedReadHalf, $Stream, $Kind, $Addr);
        $crate::net::block::split::half!(writes WriteHalf<'_>, $Stream, $Kind, $Addr);
        $crate::net::block::split::half!(writes OwnedWriteHalf, $Stream, $Kind, $Addr);
    };
}

/// What a half has of its stream's own; part of `split_types!`.
macro_rules! half {
    (reads $Half:ident $(<$lifetime:lifetime>)?, $Stream:ident, $Kind:ty, $Addr:ty) => {
        $crate::net::block::split::half!(both $Half $(<$lifetime>)?, $Stream, $Kind, $Addr);
        $crate::net::block::methods::read_methods!($Half $(<$lifetime>)?);
        #[cfg(feature = "tokio-io")]
        $crate::net::block::read_buf::peek_methods!($Half $(<$lifetime>)?, self: &mut Self);
        $crate::net::block::traits::read_traits!($Half $(<$lifetime>)?);

        impl $Half $(<$lifetime>)? {
            /// Reads and leaves the data there: the next read returns the same bytes. 0 bytes
            /// are the end of the stream, unless the buffer is empty.
            ///
            /// # Errors
            ///
            /// Those of `recv(2)`.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped before it is ready, nothing has happened.
            pub async fn peek(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.block().peek(buf).await
            }
        }
    };
    (writes $Half:ident $(<$lifetime:lifetime>)?, $Stream:ident, $Kind:ty, $Addr:ty) => {
        $crate::net::block::split::half!(both $Half $(<$lifetime>)?, $Stream, $Kind, $Addr);
        $crate::net::block::methods::write_methods!($Half $(<$lifetime>)?);
        $crate::net::block::traits::write_traits!($Half $(<$lifetime>)?);
    };
    (both $Half:ident $(<$lifetime:lifetime>)?, $Stream:ident, $Kind:ty, $Addr:ty) => {
        $crate::net::block::methods::ready_method!($Half $(<$lifetime>)?);

        impl $Half $(<$lifetime>)? {
            fn block(&self) -> &$crate::net::block::stream::Stream<$Kind> {
                AsRef::<$Stream>::as_ref(self).block()
            }
        }

        $crate::net::block::methods::socket_methods!($Half $(<$lifetime>)?, $Kind, $Addr);
    };
}

pub(crate) use {half, split_types};

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Counts how often its write side is ended.
    #[derive(Debug, Default)]
    struct Counted(Arc<AtomicU32>);

    impl ShutdownWrite for Counted {
        fn shutdown_write(&self) -> io::Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn a_write_side_is_ended_once() {
        for shut_down_before in [false, true] {
            let stream = Counted::default();
            let times = stream.0.clone();
            let (_stream, mut write) = into_split(stream);
            if shut_down_before {
                write.shutdown_write().unwrap();
            }
            drop(write);
            assert_eq!(times.load(Ordering::Relaxed), 1);
        }
    }
}
