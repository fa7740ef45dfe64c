//! Locks over HTTP: PATCH, GET and DELETE below /lock/.

use crate::port_rig::{Rig, body, name, on_both_backends};

on_both_backends!(
    locks_are_set_listed_and_ended,
    what_is_refused_says_why,
    pipelined_changes_keep_their_order,
);

fn locks_are_set_listed_and_ended() {
    let rig = Rig::start();
    let content = body(1000, 1);
    let (block, locks) = (
        format!("/block/{}", name(&content)),
        format!("/lock/{}", name(&content)),
    );
    let none = rig.call("GET", &locks, None);
    assert_eq!(none.status, 404, "no such block yet");
    assert_eq!(
        rig.call("PATCH", &format!("{locks}/who"), Some(b"why")).status,
        404
    );
    assert_eq!(rig.call("PUT", "/block", Some(&content)).status, 200);
    assert_eq!(
        rig.call("GET", &locks, None).text(),
        format!(r#"{{"block":"{}","locks":[]}}"#, name(&content))
    );
    let set = rig.call("PATCH", &format!("{locks}/who"), Some(b"say \"why\"\n"));
    assert_eq!((set.status, set.text()), (200, ""));
    assert_eq!(
        rig.call("PATCH", &format!("{locks}/bytes"), Some(&[0, 255]))
            .status,
        200
    );
    assert_eq!(
        rig.call("PATCH", &format!("{locks}/none"), None).status,
        200,
        "no body is an empty one"
    );
    let list = rig.call("GET", &locks, None);
    assert_eq!(list.header("content-type"), Some("application/json"));
    let list: serde_json::Value = serde_json::from_slice(&list.body).unwrap();
    let expected = serde_json::json!([
        {"resource": "bytes", "body_bytes": 2, "body_hex": "00ff"},
        {"resource": "none", "body_bytes": 0, "body": ""},
        {"resource": "who", "body_bytes": 10, "body": "say \"why\"\n"},
    ]);
    assert_eq!(list["locks"], expected);
    assert_eq!(rig.call("GET", &format!("{locks}/bytes"), None).body, [0, 255]);
    assert_eq!(rig.call("GET", &format!("{locks}/nobody"), None).status, 404);
    let refused = rig.call("DELETE", &block, None);
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("locked 3 times"), "{}", refused.text());
    assert_eq!(rig.call("GET", &block, None).body, content);
    assert_eq!(rig.stats()["space"]["locks"], 3);
    let rig = rig.restart();
    for resource in ["who", "bytes", "none"] {
        let path = format!("{locks}/{resource}");
        assert_eq!(rig.call("DELETE", &block, None).status, 409, "before {resource}");
        assert_eq!(rig.call("DELETE", &path, None).status, 200);
        assert_eq!(rig.call("DELETE", &path, None).status, 404, "twice");
    }
    assert_eq!(rig.call("DELETE", &block, None).status, 200);
    assert_eq!(rig.call("GET", &locks, None).status, 404);
    rig.stop();
}

fn what_is_refused_says_why() {
    let rig = Rig::start();
    let content = body(10, 2);
    assert_eq!(rig.call("PUT", "/block", Some(&content)).status, 200);
    let lock = format!("/lock/{}/r", name(&content));
    assert_eq!(rig.call("PATCH", &lock, Some(&[7; 4096])).status, 200);
    let long = rig.call("PATCH", &lock, Some(&[7; 4097]));
    assert_eq!(long.status, 413);
    assert!(long.text().contains("4096"), "{}", long.text());
    let mut client = rig.client();
    let chunked = format!("PATCH {lock} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(chunked.as_bytes()).unwrap();
    client.send(b"1001\r\n").unwrap();
    client.send(&[7; 4097]).unwrap();
    client.send(b"\r\n0\r\n\r\n").unwrap();
    assert_eq!(client.reply("PATCH").unwrap().status, 413, "however it is framed");
    assert_eq!(
        rig.call("GET", &lock, None).body,
        [7; 4096],
        "the refused ones changed nothing"
    );
    for (method, path, status) in [
        ("PATCH", "/lock/abc/r".to_owned(), 400),
        ("PATCH", format!("/lock/{}/", name(&content)), 400),
        ("PATCH", format!("{lock}/more"), 400),
        ("PATCH", format!("/lock/{}", name(&content)), 405),
        ("DELETE", format!("/lock/{}", name(&content)), 405),
        ("POST", lock.clone(), 405),
    ] {
        let refused = rig.call(method, &path, None);
        assert_eq!(refused.status, status, "{method} {path}");
        assert!(!refused.body.is_empty(), "{method} {path}");
    }
    rig.stop();
}

fn pipelined_changes_keep_their_order() {
    let rig = Rig::start();
    let content = body(3000, 3);
    let name = name(&content);
    let mut client = rig.client();
    client.request("PUT", "/block", "", Some(&content)).unwrap();
    client
        .request("PATCH", &format!("/lock/{name}/r"), "", Some(b"mine"))
        .unwrap();
    client
        .request("DELETE", &format!("/block/{name}"), "", None)
        .unwrap();
    client
        .request("GET", &format!("/lock/{name}/r"), "", None)
        .unwrap();
    client
        .request("DELETE", &format!("/lock/{name}/r"), "", None)
        .unwrap();
    client
        .request("DELETE", &format!("/block/{name}"), "", None)
        .unwrap();
    client.request("GET", &format!("/lock/{name}"), "", None).unwrap();
    for (method, status) in [
        ("PUT", 200),
        ("PATCH", 200),
        ("DELETE", 409),
        ("GET", 200),
        ("DELETE", 200),
        ("DELETE", 200),
        ("GET", 404),
    ] {
        assert_eq!(client.reply(method).unwrap().status, status, "{method}");
    }
    rig.stop();
}
