//! Asking the running server for a backup: `POST /v1/admin/backup` on its API port, which answers a line of JSON whenever it
//! is further and one at the end. Ending the command ends the backup.

use super::make::Made;
use crate::{
    auth::{Secret, Source},
    cli::BackupArgs,
    failure::Failure,
    listen::Listen,
};
use serde_json::{Value, json};
use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

/// How long the server may say nothing: a large file is hashed, or a disk is slow.
const PATIENCE: Duration = Duration::from_secs(300);
/// The longest line that is read.
const MOST_BYTES: usize = 1 << 20;

pub(super) fn ask(
    args: &BackupArgs,
    data_dir: &Path,
    to: &Path,
    show: &mut dyn FnMut(u64, u64),
) -> Result<Made, Failure> {
    let Listen::At(address) = args.http_addr else {
        return Err(Failure::usage(
            "--http-addr off: the running server is asked there",
        ));
    };
    let cannot = |error: io::Error| {
        Failure::new(format!(
            "a server uses {}, and its API port does not answer at {address}: {error}",
            data_dir.display()
        ))
        .hint("--http-addr with the address that the server was given, or stop the server")
    };
    let token = token(args)?;
    let body = json!({ "to": to, "data_dir": data_dir }).to_string();
    let bearer = token.map_or_else(String::new, |token| {
        format!(
            "authorization: Bearer {}\r\n",
            String::from_utf8_lossy(token.bytes())
        )
    });
    // HTTP/1.0: the answer ends with the connection, and comes as it is.
    let head = format!(
        "POST /v1/admin/backup HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/json\r\n{bearer}content-length: {}\r\n\r\n",
        body.len()
    );
    let answered = || -> io::Result<(u16, BufReader<TcpStream>)> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
        let mut stream = BufReader::new(stream);
        let status = line(&mut stream)?.unwrap_or_default();
        while line(&mut stream)?.is_some_and(|header| !header.is_empty()) {}
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((status.unwrap_or(0), stream))
    };
    let (status, mut stream) = answered().map_err(cannot)?;
    let mut last = Value::Null;
    while let Some(text) = line(&mut stream).map_err(cannot)? {
        last = serde_json::from_str(&text).unwrap_or_default();
        if let (Some(done), Some(total)) = (last["done_bytes"].as_u64(), last["total_bytes"].as_u64()) {
            show(done, total);
        }
    }
    if status != 200 {
        let why = last["detail"].as_str().unwrap_or("it gave no reason");
        return Err(Failure::new(format!("the server at {address} refused: {why}")));
    }
    if let Some(why) = last["error"].as_str() {
        return Err(Failure::new(why));
    }
    made(&last["made"]).ok_or_else(|| {
        Failure::new(format!(
            "the server at {address} ended before the backup was whole; what there is of it is called {}.partial",
            to.display()
        ))
    })
}

fn made(value: &Value) -> Option<Made> {
    let engines = value["engines"].as_array()?.iter();
    Some(Made {
        engines: engines
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        files: value["files"].as_u64()?,
        bytes: value["bytes"].as_u64()?,
    })
}

fn token(args: &BackupArgs) -> Result<Option<Secret>, Failure> {
    let source = match (
        &args.auth_admin_token_file,
        std::env::var_os("QUINTET_AUTH_ADMIN_TOKEN"),
    ) {
        (Some(file), _) => Source::File(file.clone()),
        (None, Some(value)) => Source::Environment {
            name: "QUINTET_AUTH_ADMIN_TOKEN",
            value: Secret::new(value.into_encoded_bytes()),
        },
        (None, None) => return Ok(None),
    };
    source.read("--auth-admin-token-file", 1).map(Some)
}

/// A line without its end; `None` at the end of it all.
fn line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = io::Read::take(&mut *stream, MOST_BYTES as u64).read_until(b'\n', &mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok((read > 0).then(|| text.trim_end_matches(['\r', '\n']).to_owned()))
}
