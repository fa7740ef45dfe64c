//! Prints the table of commands: `cargo run -p quintet-kv --features port --example resp_table > docs/resp.md`.
#![expect(clippy::print_stdout, reason = "it is a program")]

fn main() {
    print!("{}", quintet_kv::port::command_table());
}
