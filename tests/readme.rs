//! What the README shows is what the examples are.

#[test]
fn echo_server_is_the_example() {
    let example = include_str!("../examples/echo_server.rs");
    let (_head, code) = example.split_once("\n\n").expect("a comment stands at its head");
    assert!(include_str!("../README.md").contains(code), "the echo server in README.md is not examples/echo_server.rs");
}
