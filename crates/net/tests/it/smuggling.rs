//! Requests that two parsers could read differently are refused, with the right status, a reason, and the end of the
//! connection; and nothing of what follows them is acted on.

use crate::recorder::{Event, GET, Harness};

/// Feeds one request and what an attacker hides behind it. Returns the status of the only answer.
fn refused(request: &[u8]) -> u16 {
    let mut harness = Harness::new();
    harness.feed(request);
    harness.feed(GET);
    let shown = String::from_utf8_lossy(request).into_owned();
    assert!(
        harness.text().contains("Connection: close\r\n"),
        "{shown:?} was answered {:?}",
        harness.text()
    );
    let ends: Vec<Event> = harness
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::End(..)))
        .collect();
    assert_eq!(ends, [], "{shown:?} was acted on");
    assert!(
        harness.shut || !harness.alive,
        "{shown:?} left the connection open"
    );
    let statuses = harness.statuses();
    assert_eq!(statuses.len(), 1, "{shown:?}");
    let reason = harness.text().rsplit("\r\n\r\n").next().unwrap().to_owned();
    assert!(
        reason.trim().len() > 10 && reason.ends_with('\n'),
        "{shown:?} got no reason: {reason:?}"
    );
    statuses[0]
}

#[test]
fn ambiguous_framing() {
    let table: &[(&str, u16)] = &[
        ("Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", 400),
        ("Content-Length: 3, 3\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: +3\r\n", 400),
        ("Content-Length: 0x3\r\n", 400),
        ("Content-Length: 3 4\r\n", 400),
        ("Content-Length: \r\n", 400),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Content-Length: 99999999999999999999999999\r\n", 400),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            400,
        ),
        ("Transfer-Encoding: chunked, chunked\r\n", 501),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding\r\n : chunked\r\n", 400),
        ("X: a\r\n Content-Length: 3\r\n", 400),
        ("X: a\r\n\tb\r\n", 400),
        (" X: a\r\n", 400),
        ("Content-Length\0: 3\r\n", 400),
        ("X: a\0b\r\n", 400),
        ("X: a\rb\r\n", 400),
        ("X: a\nContent-Length: 3\r\n", 400),
        ("X: a\r\r\n", 400),
        (": empty\r\n", 400),
        ("no colon\r\n", 400),
        ("Host: other\r\n", 400),
        ("Expect: something\r\n", 417),
    ];
    for (fields, status) in table {
        let request = format!("PUT /now HTTP/1.1\r\nHost: h\r\n{fields}\r\nabc");
        assert_eq!(refused(request.as_bytes()), *status, "{fields:?}");
    }
}

#[test]
fn broken_request_lines() {
    let table: &[(&[u8], u16)] = &[
        (b"GET /now HTTP/1.1\r\n\r\n", 400),
        (b"GET /now HTTP/1.1\nHost: h\n\n", 400),
        (b"GET /now HTTP/1.1\r\nHost: h\n\n", 400),
        (b"GET /now HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /now HTTP/0.9\r\nHost: h\r\n\r\n", 505),
        (b"GET /now HTTP/1.2\r\nHost: h\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /now\r\nHost: h\r\n\r\n", 400),
        (b"GET  /now HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /now  HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /n ow HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GE(T /now HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b" GET /now HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"\r\n\r\n\r\nGET /now HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"\0\0\0\0", 400),
        (
            b"POST /now HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ];
    for (request, status) in table {
        assert_eq!(
            refused(request),
            *status,
            "{:?}",
            String::from_utf8_lossy(request)
        );
    }
}

#[test]
fn broken_chunks() {
    let table: &[(&str, u16)] = &[
        ("x\r\n", 400),
        ("\r\n", 400),
        ("-1\r\n", 400),
        ("+1\r\na\r\n", 400),
        ("0x1\r\na\r\n", 400),
        (" 1\r\na\r\n", 400),
        ("1 \r\na\r\n", 400),
        ("1\na\r\n", 400),
        ("1\r\nab\r\n", 400),
        ("1\r\na\n0\r\n\r\n", 400),
        ("1\r\na0\r\n\r\n", 400),
        ("1;a\nb\r\na\r\n", 400),
        ("ffffffffffffffff0\r\n", 400),
        ("ffffffffffffffff\r\n", 413),
        ("10000000000000000\r\n", 400),
        ("0\r\nTrailer: x\n\r\n", 400),
        ("0\r\n\n", 400),
        ("0\r\n\rX", 400),
        ("186a1\r\n", 413),
    ];
    for (body, status) in table {
        let request = format!("PUT /now HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(refused(request.as_bytes()), *status, "{body:?}");
    }
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(300));
    let trailer = format!("0\r\nT: {}\r\n\r\n", "t".repeat(17_000));
    for (body, status) in [(extension, 400), (trailer, 431)] {
        let request = format!("PUT /now HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(refused(request.as_bytes()), status);
    }
}

#[test]
fn what_is_too_large() {
    let line = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(9000));
    assert_eq!(refused(line.as_bytes()), 414);
    assert_eq!(refused("a".repeat(9000).as_bytes()), 414);
    let field = format!(
        "GET /now HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "a".repeat(17_000)
    );
    assert_eq!(refused(field.as_bytes()), 431);
    let many = "X: a\r\n".repeat(100);
    assert_eq!(
        refused(format!("GET /now HTTP/1.1\r\nHost: h\r\n{many}\r\n").as_bytes()),
        431
    );
}

#[test]
fn what_is_allowed() {
    let table = [
        "\r\n\r\nGET /now HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET /now HTTP/1.1\r\nhOST:h\r\n\r\n".to_owned(),
        "GET /now HTTP/1.1\r\nHost:\r\n\r\n".to_owned(),
        "PUT /now HTTP/1.1\r\nHost: h\r\nContent-Length: 003\r\n\r\nabc".to_owned(),
        "PUT /now HTTP/1.1\r\nHost: h\r\ntransfer-encoding: CHUNKED\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: x\r\nU:\r\n\r\n".to_owned(),
        "PUT /now HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0000000003\r\nabc\r\n000\r\n\r\n".to_owned(),
        format!("GET /now HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: a\r\n".repeat(99)),
    ];
    for request in table {
        let mut harness = Harness::new();
        harness.feed(&request);
        harness.feed(GET);
        assert_eq!(harness.statuses(), [200, 200], "{request:?} {:?}", harness.text());
        assert!(harness.alive);
    }
}
