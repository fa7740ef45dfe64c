//! The page: its files and their headers, what it asks of the tree, the figures it draws, and the page itself in a browser.

mod browser;
mod chromium;
mod routes;

use crate::client::{Client, Reply, call};
use crate::process::Server;
use std::{collections::BTreeSet, fs, path::Path};

/// What all files may have together, in bytes.
const BUDGET: usize = 128 << 10;
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ui/page");

/// Every file that can be reached from `/`, with its answer.
fn crawl(server: &Server) -> Vec<(String, Reply)> {
    let (mut seen, mut todo) = (BTreeSet::new(), vec!["/".to_owned()]);
    let mut found = Vec::new();
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let reply = call(server.api(), "GET", &path, None);
        assert_eq!(reply.status, 200, "{path} is named and not there");
        todo.extend(named(reply.text()));
        found.push((path, reply));
    }
    found
}

/// The files that a file names.
fn named(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for begin in ["href=\"/ui/", "src=\"/ui/", "from './"] {
        for (at, _) in text.match_indices(begin) {
            let rest = &text[at + begin.len()..];
            let end = rest.find(['"', '\'']).expect("a closing quote");
            names.push(format!("/ui/{}", &rest[..end]));
        }
    }
    names
}

#[test]
fn every_file_has_its_type_its_policy_and_its_tag() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm"], &[]);
    for (path, reply) in crawl(&server) {
        let header = |name| reply.header(name).unwrap_or_default().to_owned();
        let media_type = match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(header("content-type"), media_type, "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-cache", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(
                policy.split("; ").any(|one| one == part),
                "{path}: {policy} has no {part}"
            );
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{path}: {policy}"
        );
        let tag = header("etag");
        assert!(
            tag.len() > 20 && tag.starts_with('"') && tag.ends_with('"'),
            "{path}: {tag}"
        );
        for (known, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}, \"other\""), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let mut client = Client::connect(server.api()).expect("connected");
            let line = format!("If-None-Match: {known}\r\n");
            client.request("GET", &path, &line, None).expect("sent");
            let again = client.reply("GET").expect("an answer");
            assert_eq!(again.status, status, "{path} {known}");
            assert_eq!(again.header("etag"), Some(&*tag), "{path}");
            assert_eq!(again.body.is_empty(), status == 304, "{path}");
        }
        let mut client = Client::connect(server.api()).expect("connected");
        let head = client.call("HEAD", &path, None).expect("an answer");
        assert_eq!((head.status, head.header("etag")), (200, Some(&*tag)), "{path}");
        assert_eq!(call(server.api(), "POST", &path, Some(b"")).status, 405, "{path}");
    }
    server.stop();
}

#[test]
fn every_file_of_the_source_is_served_and_used_and_all_are_small() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm"], &[]);
    let served = crawl(&server);
    let names: BTreeSet<String> = served
        .iter()
        .map(|(path, _)| path.strip_prefix("/ui/").unwrap_or("index.html").to_owned())
        .collect();
    let files = fs::read_dir(SOURCE).expect("the page's folder");
    let files: BTreeSet<String> = files
        .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    assert_eq!(
        names, files,
        "named by the page on the left, in the source on the right"
    );
    for (path, reply) in &served {
        let name = path.strip_prefix("/ui/").unwrap_or("index.html");
        let source = fs::read(Path::new(SOURCE).join(name)).expect("a file");
        assert!(reply.body == source, "{path} is not the file");
    }
    let bytes: usize = served.iter().map(|(_, reply)| reply.body.len()).sum();
    println!("the page: {} files, {bytes} bytes", served.len());
    assert!(bytes <= BUDGET, "{bytes} bytes, the budget is {BUDGET}");
    server.stop();
}

#[test]
fn no_file_has_what_the_policy_forbids_or_names_another_host() {
    let files = fs::read_dir(SOURCE).expect("the page's folder");
    for file in files.map(|file| file.expect("a file").path()) {
        let text = fs::read_to_string(&file).expect("text");
        let is_html = file.extension().is_some_and(|extension| extension == "html");
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "@import",
        ] {
            assert!(!text.contains(word), "{} has {word}", file.display());
        }
        if is_html {
            for word in [
                " style=",
                "<style",
                "javascript:",
                " onclick=",
                "<script>",
                "<base",
            ] {
                assert!(!text.contains(word), "{} has {word}", file.display());
            }
        }
        for (at, _) in text.match_indices("//") {
            let before = &text[..at];
            let is_address = before.ends_with("http:") || before.ends_with("https:");
            let is_name = text[at..].starts_with("//www.w3.org/2000/svg");
            assert!(
                !is_address || is_name,
                "{}: {}",
                file.display(),
                &text[at..at + 20]
            );
        }
    }
}

#[test]
fn the_start_says_where_the_page_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm,tree,vectors"], &[]);
    let line = format!("page    http://{}/", server.api());
    assert!(server.startup.contains(&line), "{}", server.startup);
    server.stop();
}
