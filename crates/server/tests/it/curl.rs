//! The commands that the start-up text tells people to try, run with the real curl.

use crate::process::Server;
use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

fn curl(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("curl was there a moment ago");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("curl reads its input");
    drop(stdin);
    child.wait_with_output().expect("curl ends")
}

#[test]
fn what_we_tell_people_to_try_works() {
    if Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("SKIPPED: curl is not installed, the printed commands were not tried");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(&dir.path().join("data"));
    let url = format!("http://{}", server.blocks());

    // `curl -T -` sends a chunked body with Expect: 100-continue left to curl's taste.
    let put = curl(&["-T", "-", &format!("{url}/block")], b"hello\n");
    let name = String::from_utf8(put.stdout).expect("text");
    assert_eq!(
        name,
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    );
    let get = curl(&[&format!("{url}/block/{name}")], b"");
    assert_eq!(get.stdout, b"hello\n");

    let file = dir.path().join("file");
    let bytes: Vec<_> = (0..500_000u32).flat_map(u32::to_le_bytes).take(500_000).collect();
    fs::write(&file, &bytes).expect("written");
    let put = curl(&["-T", &file.display().to_string(), &format!("{url}/block")], b"");
    let name = String::from_utf8(put.stdout).expect("text");
    let get = curl(&[&format!("{url}/{name}")], b"");
    assert!(get.stdout == bytes);

    let head = curl(&["-I", &format!("{url}/block/{name}")], b"");
    let head = String::from_utf8(head.stdout).expect("text").to_ascii_lowercase();
    assert!(
        head.contains("200 ok") && head.contains("content-length: 500000"),
        "{head}"
    );

    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    let target = format!("{url}/block/{name}");
    for (method, expected) in [("DELETE", "200"), ("DELETE", "404"), ("POST", "405")] {
        let answer = curl(&[&status[..], &["-X", method, &target]].concat(), b"");
        assert_eq!(
            String::from_utf8(answer.stdout).expect("text"),
            expected,
            "{method}"
        );
    }
    fs::write(&file, vec![0; 524_289]).expect("written");
    let answer = curl(
        &[
            &status[..],
            &["-T", &file.display().to_string(), &format!("{url}/block")],
        ]
        .concat(),
        b"",
    );
    assert_eq!(String::from_utf8(answer.stdout).expect("text"), "413");
    server.stop();
}
