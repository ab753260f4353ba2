//! Turns an `async fn` into a plain `fn` that builds a runtime and blocks on the body.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::token::Brace;
use syn::{AttrStyle, Attribute, Error, Item, Result, ReturnType, Signature, Visibility, braced, parse_quote};

use crate::args::Args;

const EXPECTED: &str = "expected an `async fn`";

/// Which of the two attributes is expanded.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Main,
    Test,
}

/// Expands the attribute. Misuse becomes a `compile_error!` beside an item as close to the intended
/// one as possible, so that editors keep completing and checking the body.
pub(crate) fn expand(role: Role, args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Vec::new();
    let mut expansion = rewrite(role, args, item, &mut errors);
    expansion.extend(errors.iter().map(Error::to_compile_error));
    expansion
}

/// The item alone. What is wrong with it is added to `errors`.
pub(crate) fn rewrite(role: Role, args: TokenStream, item: TokenStream, errors: &mut Vec<Error>) -> TokenStream {
    let function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.push(not_a_function(&item).unwrap_or(error));
            return item;
        }
    };
    let args = Args::parse(args, errors);
    errors.extend(function.misuse(role));

    // Beside one of our errors, `#[test]` would only make rustc repeat it.
    let is_test = role == Role::Test && errors.is_empty();
    let harness = is_test.then(|| quote!(#[::core::prelude::v1::test]));
    function.blocking(harness, &args)
}

/// A function of which only the signature is parsed. The body stays as it was written, even if it
/// is not valid Rust (yet): rustc and editors explain that better than a macro can.
struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    brace: Brace,
    body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Function> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        let content;
        let brace = braced!(content in input);
        // `#![...]` is allowed at the start of a function's body, but not of a block's.
        let inner = content.call(Attribute::parse_inner)?;
        attrs.extend(inner.into_iter().map(|attr| Attribute { style: AttrStyle::Outer, ..attr }));
        let body = content.parse()?;
        Ok(Function { attrs, vis, sig, brace, body })
    }
}

impl Function {
    /// What the attribute cannot accept in this function. (rustc itself rejects a generic `main`.)
    fn misuse(&self, role: Role) -> Vec<Error> {
        if role == Role::Test
            && let Some(second) = self.attrs.iter().find(|attr| is_test(attr))
        {
            // If `#[aio_runtime::test]` is given twice, the second one sees what the first one
            // made, which is not `async` any more. An error about that would mislead.
            let message = "this function is marked as a test twice: keep only `#[aio_runtime::test]`";
            return vec![Error::new_spanned(second, message)];
        }
        let sig = &self.sig;
        let mut errors = Vec::new();
        if sig.asyncness.is_none() {
            errors.push(Error::new_spanned(sig.fn_token, EXPECTED));
        }
        if !sig.inputs.is_empty() && (role == Role::Test || sig.ident == "main") {
            let message = format!("`{}` is called without arguments, so it can take none", sig.ident);
            errors.push(Error::new_spanned(&sig.inputs, message));
        }
        errors
    }

    /// The plain function that builds a runtime and blocks on the body.
    fn blocking(self, harness: Option<TokenStream>, args: &Args) -> TokenStream {
        let Function { attrs, vis, mut sig, brace, body } = self;
        sig.asyncness = None;

        let hint = type_hint(&sig.output);
        let mut block = TokenStream::new();
        brace.surround(&mut block, |block| block.extend([hint, body]));

        // Makes rustc report a wrong value of the body at the body, not at the attribute.
        let at_body = Span::call_site().located_at(brace.span.join());
        let builder = args.builder();
        let block_on = quote_spanned!(at_body=> runtime.block_on(body));
        quote! {
            #(#attrs)*
            #harness
            #vis #sig {
                let body = async move #block;
                match #builder.build() {
                    ::core::result::Result::Ok(runtime) => #block_on,
                    ::core::result::Result::Err(error) => {
                        ::core::panic!("aio-runtime could not start: {}", error)
                    }
                }
            }
        }
    }
}

/// A statement that does nothing but tell the async block its type, before anything else in the
/// block can. Otherwise rustc would infer the type from the first `return` or `?`, coerce nothing
/// to it, and report a wrong value at the attribute. No such statement exists for `-> !` and
/// `impl Trait`.
fn type_hint(output: &ReturnType) -> TokenStream {
    let output = match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, output) => output.clone(),
    };
    if only_returnable(output.to_token_stream()) {
        return TokenStream::new();
    }
    let at_output = Span::call_site().located_at(output.span());
    quote_spanned! {at_output=>
        if let ::core::option::Option::<#output>::Some(output) = ::core::option::Option::None {
            return output;
        }
    }
}

/// Whether a type may appear only after `->`.
fn only_returnable(output: TokenStream) -> bool {
    output.into_iter().any(|token| match token {
        TokenTree::Group(group) => only_returnable(group.stream()),
        TokenTree::Ident(word) => word == "impl",
        TokenTree::Punct(mark) => mark.as_char() == '!',
        TokenTree::Literal(_) => false,
    })
}

/// Whether this is `#[test]`, or the long form that macros such as this one write.
fn is_test(attr: &Attribute) -> bool {
    let path = attr.path().to_token_stream().to_string().replace(' ', "");
    let names: Vec<_> = path.trim_start_matches("::").split("::").collect();
    matches!(*names, ["test"] | ["core" | "std", "prelude", _, "test"])
}

/// The error for another kind of item, such as a `struct`. `None` for a `fn` with a syntax error.
fn not_a_function(item: &TokenStream) -> Option<Error> {
    match syn::parse2(item.clone()) {
        Ok(Item::Fn(_)) | Err(_) => None,
        Ok::<Item, _>(other) => Some(Error::new_spanned(other, EXPECTED)),
    }
}
