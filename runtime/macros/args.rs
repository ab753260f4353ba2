//! The arguments in the parentheses, as in `#[aio_runtime::main(capacity = 4096)]`.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::str::FromStr;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Meta, Path, Result, Token, parse_quote};

/// The parsed arguments. One that was refused counts as not given.
#[derive(Default)]
pub(crate) struct Args {
    capacity: Option<NonZeroU32>,
    spin_us: Option<u64>,
    flavor: Option<CurrentThread>,
    krate: Option<Path>,
}

/// The only flavor there is. Kept to notice a second `flavor`.
struct CurrentThread;

impl Args {
    /// Reads the arguments, and adds to `errors` whatever is wrong with them.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Vec<Error>) -> Args {
        let mut args = Args::default();
        match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(list) => errors.extend(list.iter().filter_map(|meta| args.set(meta).err())),
            Err(error) => errors.push(error),
        }
        args
    }

    /// The expression for the builder that these arguments describe.
    pub(crate) fn builder(&self) -> TokenStream {
        let krate = self.krate.clone().unwrap_or_else(|| parse_quote!(::aio_runtime));
        let capacity = self.capacity.map(NonZeroU32::get);
        let capacity = capacity.map(|slots| quote!(.capacity(#slots)));
        let spin = self.spin_us.map(|micros| quote!(.spin(::core::time::Duration::from_micros(#micros))));
        quote!(#krate::runtime::Builder::new() #capacity #spin)
    }

    fn set(&mut self, meta: &Meta) -> Result<()> {
        let name = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
        match name.as_str() {
            "capacity" => {
                set_once(&mut self.capacity, meta, |value| integer(value, "expected an integer from 1 to 4294967295"))
            }
            "spin_us" => set_once(&mut self.spin_us, meta, |value| integer(value, "expected a number of microseconds")),
            "flavor" => set_once(&mut self.flavor, meta, flavor),
            "crate" => set_once(&mut self.krate, meta, path),
            "worker_threads" => Err(one_thread(meta)),
            _ => Err(Error::new_spanned(
                meta,
                "unknown argument: the known ones are `capacity = 4096`, `spin_us = 50`, \
                 `flavor = \"current_thread\"` and `crate = \"path::of::aio_runtime\"`",
            )),
        }
    }
}

/// Fills `slot` with what `read` makes of the value in `name = value`.
fn set_once<T>(slot: &mut Option<T>, meta: &Meta, read: fn(&Expr) -> Result<T>) -> Result<()> {
    if slot.is_some() {
        return Err(Error::new_spanned(meta, "this argument is given twice"));
    }
    *slot = Some(read(&meta.require_name_value()?.value)?);
    Ok(())
}

fn flavor(value: &Expr) -> Result<CurrentThread> {
    match string(value)?.value().as_str() {
        "current_thread" => Ok(CurrentThread),
        "multi_thread" => Err(one_thread(value)),
        _ => Err(Error::new_spanned(value, "unknown flavor: the only one is `current_thread`")),
    }
}

fn path(value: &Expr) -> Result<Path> {
    let refuse = |_| Error::new_spanned(value, "expected a path, such as \"my_crate::aio_runtime\"");
    string(value)?.parse().map_err(refuse)
}

fn integer<N: FromStr<Err: Display>>(value: &Expr, expected: &str) -> Result<N> {
    let number = match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| Error::new_spanned(value, expected))
}

fn string(value: &Expr) -> Result<&LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        other => Err(Error::new_spanned(other, "expected a string literal")),
    }
}

fn one_thread(asked: &impl ToTokens) -> Error {
    Error::new_spanned(
        asked,
        "aio-runtime runs each runtime on one thread: to use more cores, start more threads \
         (`std::thread::spawn`) and build one `aio_runtime::runtime::Runtime` in each",
    )
}
