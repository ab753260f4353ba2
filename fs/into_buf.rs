//! What a file operation takes as its buffer.

use super::Buf;

/// What can be the buffer of a file operation: a [`Buf`], or a `Vec<u8>` or `Box<[u8]>`, each of
/// which becomes one without a copy.
///
/// This is a separate name for `Into<Buf>`, so that the compiler can explain what is wrong with a
/// borrowed buffer: the kernel may write to it after the future has been dropped, so an operation
/// takes the buffer, and gives it back with the result.
///
/// # Examples
///
/// ```compile_fail
/// # async fn read(file: aio_runtime::fs::File) -> std::io::Result<()> {
/// let mut bytes = [0; 4096];
/// let n = file.read_at(&mut bytes, 0).await?;
/// println!("{:?}", &bytes[..n]);
/// # Ok(())
/// # }
/// ```
///
/// does not compile. Instead:
///
/// ```
/// # async fn read(file: aio_runtime::fs::File) -> std::io::Result<()> {
/// let (n, bytes) = file.read_at(vec![0; 4096], 0).await;
/// println!("{:?}", &bytes[..n?]);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the buffer of a file operation",
    label = "expected an owned buffer: `Buf`, `Vec<u8>` or `Box<[u8]>`",
    note = "the kernel may write to the buffer after the future is dropped, so an operation takes an owned buffer and \
            gives it back with the result",
    note = "to read, pass `Buf::zeroed(n)`, `vec![0; n]` or, for O_DIRECT, `Buf::aligned(n, 4096)`; to write, pass a \
            `Vec<u8>`, such as `bytes.to_vec()` or `string.into_bytes()`",
    note = "to use a part of a buffer, pass `buf.slice(range)` of a `Buf`"
)]
pub trait IntoBuf: Into<Buf> {}

// Without the attribute the compiler would explain `Into`, of which there is nothing to say.
#[diagnostic::do_not_recommend]
impl<T: Into<Buf>> IntoBuf for T {}

/// The mistakes that [`IntoBuf`] explains do not compile; nothing else in the examples is wrong, as
/// those with owned buffers show.
#[cfg(doctest)]
mod doctests {
    macro_rules! examples {
        ($($test:literal: $name:ident = $operation:literal;)*) => { $(
            #[doc = concat!("```", $test)]
            #[doc = "use aio_runtime::fs::{Buf, File};"]
            #[doc = "async fn operate(file: File, mut bytes: Vec<u8>, text: String) {"]
            #[doc = concat!("let _ = file.", $operation, ".await;")]
            #[doc = "}"]
            #[doc = "```"]
            struct $name;
        )* };
    }

    examples! {
        "": OwnBuf = "read_at(Buf::from(bytes), 0)";
        "": OwnVec = "read_at(bytes, 0)";
        "": InferredVec = "read_at(vec![0; 16], 0)";
        "": OwnBox = "read_exact_at(bytes.into_boxed_slice(), 0)";
        "": CopiedSlice = "write_at(bytes[..].to_vec(), 0)";
        "": TextAsBytes = "write_all_at(text.into_bytes(), 0)";

        "compile_fail,E0277": MutableSlice = "read_at(&mut bytes[..], 0)";
        "compile_fail,E0277": BorrowedVec = "read_exact_at(&mut bytes, 0)";
        "compile_fail,E0277": BorrowedArray = "read_at(&mut [0; 16], 0)";
        "compile_fail,E0277": OwnArray = "read_at([0; 16], 0)";
        "compile_fail,E0277": OwnString = "read_at(text, 0)";
        "compile_fail,E0277": VecOfWords = "read_at(vec![0_u16; 16], 0)";
        "compile_fail,E0277": Slice = "write_at(&bytes[..], 0)";
        "compile_fail,E0277": Text = "write_all_at(&text[..], 0)";
        "compile_fail,E0277": ByteString = "write_all_at(b\"text\", 0)";
    }
}
