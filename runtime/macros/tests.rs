//! What the attributes turn a function into, and what they say about one that they cannot accept.

use proc_macro2::TokenStream;
use quote::quote;

use crate::entry::Role::{self, Main, Test};
use crate::entry::{expand, rewrite};

/// A message, and the words of the source it points at.
type Complaint = (String, String);

const ONE_THREAD: &str = "aio-runtime runs each runtime on one thread: to use more cores, start \
    more threads (`std::thread::spawn`) and build one `aio_runtime::runtime::Runtime` in each";

const UNKNOWN: &str = "unknown argument: the known ones are `capacity = 4096`, `spin_us = 50`, \
    `flavor = \"current_thread\"` and `crate = \"path::of::aio_runtime\"`";

fn complaints(role: Role, args: &str, item: &str) -> Vec<Complaint> {
    let mut errors = Vec::new();
    rewrite(role, parse(args), parse(item), &mut errors);
    errors.iter().map(|error| (error.to_string(), error.span().source_text().unwrap())).collect()
}

fn parse(source: &str) -> TokenStream {
    source.parse().unwrap()
}

#[track_caller]
fn assert_complaint(role: Role, args: &str, item: &str, message: &str, at: &str) {
    assert_eq!(complaints(role, args, item), [(message.into(), at.into())]);
}

/// For what is wrong in the parentheses of either attribute.
#[track_caller]
fn assert_bad_args(args: &str, message: &str, at: &str) {
    assert_complaint(Main, args, "async fn main() {}", message, at);
    assert_complaint(Test, args, "async fn works() {}", message, at);
}

#[track_caller]
fn assert_builder(args: TokenStream, builder: TokenStream) {
    let mut errors = Vec::new();
    let made = crate::args::Args::parse(args, &mut errors).builder();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(made.to_string(), builder.to_string());
}

#[track_caller]
fn assert_expands(role: Role, item: TokenStream, expansion: TokenStream) {
    let made = expand(role, TokenStream::new(), item);
    assert_eq!(made.to_string(), expansion.to_string());
}

/// The part that is the same in every expansion.
fn start_and_block_on() -> TokenStream {
    quote! {
        match ::aio_runtime::runtime::Builder::new().build() {
            ::core::result::Result::Ok(runtime) => runtime.block_on(body),
            ::core::result::Result::Err(error) => {
                ::core::panic!("aio-runtime could not start: {}", error)
            }
        }
    }
}

fn hint(output: TokenStream) -> TokenStream {
    quote! {
        if let ::core::option::Option::<#output>::Some(output) = ::core::option::Option::None {
            return output;
        }
    }
}

#[test]
fn main_blocks_on_its_body() {
    let (hint, rest) = (hint(quote!(())), start_and_block_on());
    assert_expands(
        Main,
        quote! { async fn main() { serve().await; } },
        quote! { fn main() { let body = async move { #hint serve().await; }; #rest } },
    );
}

#[test]
fn test_attribute_goes_after_the_functions_own() {
    let (hint, rest) = (hint(quote!(Result<(), E>)), start_and_block_on());
    assert_expands(
        Test,
        quote! { #[ignore] async fn works() -> Result<(), E> { Ok(()) } },
        quote! {
            #[ignore]
            #[::core::prelude::v1::test]
            fn works() -> Result<(), E> { let body = async move { #hint Ok(()) }; #rest }
        },
    );
}

#[test]
fn signature_is_kept() {
    let (hint, rest) = (hint(quote!(T)), start_and_block_on());
    assert_expands(
        Main,
        quote! {
            /// Runs it.
            pub(crate) async unsafe fn run<T>(&mut self, mut n: T) -> T where T: Copy { n }
        },
        quote! {
            /// Runs it.
            pub(crate) unsafe fn run<T>(&mut self, mut n: T) -> T where T: Copy {
                let body = async move { #hint n };
                #rest
            }
        },
    );
}

#[test]
fn inner_attributes_become_outer_ones() {
    let (hint, rest) = (hint(quote!(())), start_and_block_on());
    assert_expands(
        Main,
        quote! { async fn main() { #![allow(unused)] let x = 1; } },
        quote! {
            #[allow(unused)]
            fn main() { let body = async move { #hint let x = 1; }; #rest }
        },
    );
}

#[test]
fn types_that_a_statement_cannot_name_get_no_hint() {
    let rest = start_and_block_on();
    for output in [quote!(!), quote!(impl Termination), quote!(Result<(impl Debug, u8), E>)] {
        assert_expands(
            Main,
            quote! { async fn main() -> #output { body() } },
            quote! { fn main() -> #output { let body = async move { body() }; #rest } },
        );
    }
}

#[test]
fn invalid_body_is_left_to_the_compiler() {
    let (hint, rest) = (hint(quote!(())), start_and_block_on());
    assert_expands(
        Main,
        quote! { async fn main() { let x = stream.; } },
        quote! { fn main() { let body = async move { #hint let x = stream.; }; #rest } },
    );
}

#[test]
fn arguments_reach_the_builder() {
    assert_builder(quote!(), quote!(::aio_runtime::runtime::Builder::new()));
    assert_builder(quote!(flavor = "current_thread"), quote!(::aio_runtime::runtime::Builder::new()));
    assert_builder(
        quote!(crate = "my::aio", spin_us = 50, capacity = 4_096,),
        quote! {
            my::aio::runtime::Builder::new()
                .capacity(4096u32)
                .spin(::core::time::Duration::from_micros(50u64))
        },
    );
}

#[test]
fn many_threads_are_refused_with_a_way_out() {
    assert_bad_args("worker_threads = 2", ONE_THREAD, "worker_threads = 2");
    assert_bad_args("worker_threads", ONE_THREAD, "worker_threads");
    assert_bad_args("flavor = \"multi_thread\"", ONE_THREAD, "\"multi_thread\"");
}

#[test]
fn unknown_arguments_are_answered_with_the_known_ones() {
    for args in ["start_paused = true", "current_thread", "spin(5)", "rt::capacity = 1"] {
        assert_bad_args(args, UNKNOWN, args);
    }
    let message = "unknown flavor: the only one is `current_thread`";
    assert_bad_args("flavor = \"local\"", message, "\"local\"");
}

#[test]
fn arguments_are_given_once() {
    let message = "this argument is given twice";
    assert_bad_args("capacity = 1, capacity = 2", message, "capacity = 2");
    assert_bad_args("crate = \"a\", crate = \"a\"", message, "crate = \"a\"");
    let flavor = "flavor = \"current_thread\"";
    assert_bad_args(&format!("{flavor}, spin_us = 1, {flavor}"), message, flavor);
}

#[test]
fn values_have_to_fit() {
    let message = "expected an integer from 1 to 4294967295";
    for value in ["0", "-1", "4294967296", "SLOTS", "\"64\""] {
        assert_bad_args(&format!("capacity = {value}"), message, value);
    }
    let message = "expected a number of microseconds";
    for value in ["-1", "0.5", "1 + 1"] {
        assert_bad_args(&format!("spin_us = {value}"), message, value);
    }
    let message = "expected a string literal";
    assert_bad_args("flavor = current_thread", message, "current_thread");
    assert_bad_args("crate = aio", message, "aio");
    let message = "expected a path, such as \"my_crate::aio_runtime\"";
    assert_bad_args("crate = \"a b\"", message, "\"a b\"");
    let message = "expected a value for this attribute: `capacity = ...`";
    assert_bad_args("capacity", message, "capacity");
}

#[test]
fn function_has_to_be_async() {
    assert_complaint(Main, "", "fn main() {}", "expected an `async fn`", "fn");
    assert_complaint(Test, "", "fn works() {}", "expected an `async fn`", "fn");
}

#[test]
fn other_items_are_refused_and_kept() {
    for item in ["struct S;", "mod m { fn f() {} }", "const F: fn() = f;"] {
        assert_complaint(Main, "", item, "expected an `async fn`", item);
        let made = expand(Main, TokenStream::new(), parse(item)).to_string();
        assert!(made.starts_with(&parse(item).to_string()), "{made}");
    }
}

#[test]
fn syntax_error_in_the_signature_is_shown_where_it_is() {
    assert_complaint(Main, "", "async fn main(n) {}", "expected `:`", ")");
}

#[test]
fn main_and_tests_take_no_arguments() {
    let message = "`main` is called without arguments, so it can take none";
    assert_complaint(Main, "", "async fn main(n: u8, m: u8) {}", message, "n: u8, m: u8");
    let message = "`works` is called without arguments, so it can take none";
    assert_complaint(Test, "", "async fn works(n: u8) {}", message, "n: u8");
    assert_eq!(complaints(Main, "", "async fn run(n: u8) {}"), []);
}

#[test]
fn second_test_attribute_is_refused() {
    let message = "this function is marked as a test twice: keep only `#[aio_runtime::test]`";
    for second in ["#[test]", "#[::core::prelude::v1::test]", "#[std::prelude::v1::test]"] {
        assert_complaint(Test, "", &format!("{second} fn works() {{}}"), message, second);
    }
    assert_eq!(complaints(Test, "", "#[cfg(test)] async fn works() {}"), []);
    assert_eq!(complaints(Main, "", "#[test] async fn works() {}"), []);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = complaints(Test, "capacity = 0, threads = 2", "fn works(n: u8) {}");
    let at: Vec<_> = found.iter().map(|(_, at)| at.as_str()).collect();
    assert_eq!(at, ["0", "threads = 2", "fn", "n: u8"]);
}

#[test]
fn mistaken_function_still_expands_but_not_to_a_test() {
    let made = expand(Test, quote!(capacity = 0, crate = "aio"), quote! { async fn works() {} });
    let made = made.to_string();
    assert!(made.starts_with("fn works () { let body = async move {"), "{made}");
    assert!(made.contains("match aio :: runtime :: Builder :: new () . build ()"), "{made}");
    assert!(made.ends_with(":: core :: compile_error ! { \"expected an integer from 1 to 4294967295\" }"), "{made}");
}
