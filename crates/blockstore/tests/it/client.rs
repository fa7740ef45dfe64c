//! A plain HTTP/1.1 client over one socket, for tests that must say exactly which bytes they send.
//!
//! It knows no redirects, no chunked answers and no retries: the port never sends the first two, and a retry would hide a
//! lost answer. Every read has a deadline, so a server that falls silent fails the test instead of hanging it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long any one read or write may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text answer is UTF-8")
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends a head with the given extra header lines, and a body with its length when there is one.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&[u8]>,
    ) -> io::Result<()> {
        let length = body.map_or_else(String::new, |body| format!("Content-Length: {}\r\n", body.len()));
        let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: t\r\n{headers}{length}\r\n").into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        self.send(&bytes)
    }

    /// Reads one answer. `method` is what it answers: a HEAD has no body whatever its length says.
    pub(crate) fn reply(&mut self, method: &str) -> io::Result<Reply> {
        let line = self.line()?;
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| bad(format!("not a status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| bad(format!("not a header: {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
        };
        if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
            let length = reply
                .header("content-length")
                .and_then(|length| length.parse().ok())
                .ok_or_else(|| bad(format!("an answer without a length: {reply:?}")))?;
            reply.body = vec![0; length];
            self.reader.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// One request, one answer.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> io::Result<Reply> {
        self.request(method, path, "", body)?;
        self.reply(method)
    }

    /// Whether something has come that was not read.
    pub(crate) fn has_input(&mut self) -> bool {
        self.reader.get_ref().set_nonblocking(true).expect("a socket");
        let seen = self.reader.get_ref().peek(&mut [0]);
        self.reader.get_ref().set_nonblocking(false).expect("a socket");
        seen.is_ok_and(|count| count > 0)
    }

    /// Whether the server has closed the connection and sent nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.reader.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
        }
    }

    /// Resets the connection: an abort, not an end of stream.
    pub(crate) fn abort(self) {
        let stream = self.reader.into_inner();
        let _best_effort = stream.shutdown(std::net::Shutdown::Both);
    }

    /// One line, without its end.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(end);
        Ok(line)
    }
}

/// One call on a connection of its own. Panics on a transport error, which no test expects here.
pub(crate) fn call(address: SocketAddr, method: &str, path: &str, body: Option<&[u8]>) -> Reply {
    Client::connect(address)
        .and_then(|mut client| client.call(method, path, body))
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

fn bad(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
