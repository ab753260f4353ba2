//! Options of a connection, as a macro, so that each type has them under its own name.

/// `TCP_NODELAY` and `SO_LINGER`, for what is or will be a connection.
macro_rules! connection_options {
    ($Type:ty) => {
        const _: () = {
            use std::io;
            use std::time::Duration;

            use rustix::net::sockopt;

            impl $Type {
                /// Whether small writes are sent at once (`TCP_NODELAY`).
                ///
                /// # Errors
                ///
                /// Those of `getsockopt(2)`.
                pub fn nodelay(&self) -> io::Result<bool> {
                    Ok(sockopt::tcp_nodelay(self)?)
                }

                /// Sets whether small writes are sent at once (`TCP_NODELAY`), and not held back
                /// until the peer has acknowledged earlier ones.
                ///
                /// # Errors
                ///
                /// Those of `setsockopt(2)`.
                pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
                    Ok(sockopt::set_tcp_nodelay(self, nodelay)?)
                }

                /// How long a close waits until everything is sent (`SO_LINGER`). `None`, the
                /// default, means that it does not wait, and that the kernel goes on sending. Zero
                /// is what [`set_zero_linger`](Self::set_zero_linger) sets.
                ///
                /// # Errors
                ///
                /// Those of `getsockopt(2)`.
                pub fn linger(&self) -> io::Result<Option<Duration>> {
                    Ok(sockopt::socket_linger(self)?)
                }

                /// Sets how long a close waits until everything is sent (`SO_LINGER`), in whole
                /// seconds, rounded up.
                ///
                /// Deprecated, as it is in tokio: the close blocks the thread, and with it the
                /// runtime. Shut the write side down instead, and read until the peer has closed as
                /// well. For zero there is [`set_zero_linger`](Self::set_zero_linger).
                ///
                /// # Errors
                ///
                /// `EINVAL` if the seconds do not fit into 31 bits.
                #[deprecated = "a close that lingers blocks the thread, and with it the runtime"]
                pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
                    Ok(sockopt::set_socket_linger(self, dur)?)
                }

                /// Makes closing the socket reset the connection (`SO_LINGER` with a time of zero).
                /// What has not been sent is discarded, the peer gets `ECONNRESET`, and no
                /// `TIME_WAIT` remains.
                ///
                /// # Errors
                ///
                /// Those of `setsockopt(2)`.
                pub fn set_zero_linger(&self) -> io::Result<()> {
                    Ok(sockopt::set_socket_linger(self, Some(Duration::ZERO))?)
                }
            }
        };
    };
}

pub(super) use connection_options;
