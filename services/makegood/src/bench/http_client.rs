//! The cheapest HTTP/1.1 client that is still correct: one connection, one request at a time, kept alive.
//!
//! The load generator shares two cores with what it measures, and a general client costs several times as much per
//! request. Only `http://`: to measure TLS is not what this is for.

use std::io::{self, ErrorKind};

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// Headers and chunk sizes are short lines; a longer one is not HTTP.
const MAX_LINE_BYTES: u64 = 16 * 1024;

pub(crate) struct HttpClient {
    /// `host:port`.
    authority: String,
    /// Goes along with every request.
    authorization: String,
    connection: Option<BufReader<TcpStream>>,
    request: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) retry_after_seconds: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl HttpClient {
    pub(crate) fn new(url: &str, api_key: &str) -> anyhow::Result<Self> {
        let authority =
            url.strip_prefix("http://").with_context(|| format!("bench speaks plain HTTP, and not {url}"))?;
        anyhow::ensure!(!authority.contains('/'), "bench needs an address without a path, and not {url}");
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self {
            authority,
            authorization: format!("Bearer {api_key}"),
            connection: None,
            request: Vec::with_capacity(2_048),
        })
    }

    /// Sends a request and reads its answer. `headers` are whole lines, each with its line end.
    ///
    /// A kept connection may have been closed by the server meanwhile: then it is sent once more on a new one, so a POST
    /// with an effect needs an Idempotency-Key.
    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> io::Result<Response> {
        self.request.clear();
        self.request.extend_from_slice(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
                self.authority,
                self.authorization,
                body.len()
            )
            .as_bytes(),
        );
        if let Some(kept) = self.connection.take() {
            match self.exchange(kept).await {
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                    ) => {}
                answered_or_failed => return answered_or_failed,
            }
        }
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        self.exchange(BufReader::new(stream)).await
    }

    async fn exchange(&mut self, mut connection: BufReader<TcpStream>) -> io::Result<Response> {
        connection.write_all(&self.request).await?;
        loop {
            let (response, keep) = read_response(&mut connection).await?;
            // Interim answers (1xx) announce the final one.
            if response.status >= 200 {
                self.connection = keep.then_some(connection);
                return Ok(response);
            }
        }
    }
}

/// The answer, and whether the connection can be used again.
async fn read_response(connection: &mut BufReader<TcpStream>) -> io::Result<(Response, bool)> {
    let mut line = String::new();
    read_line(connection, &mut line).await?;
    let status =
        line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| invalid("status line", &line))?;
    let mut response = Response { status, ..Response::default() };
    let (mut length, mut chunked, mut keep) = (None, false, line.starts_with("HTTP/1.1"));
    loop {
        read_line(connection, &mut line).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("header", &line))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse().map_err(|_| invalid("content-length", value))?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep = !value.eq_ignore_ascii_case("close"),
            "retry-after" => response.retry_after_seconds = value.parse().ok(),
            _ => {}
        }
    }
    match (status, chunked, length) {
        (100..=199 | 204 | 304, _, _) => {}
        (_, true, _) => read_chunks(connection, &mut line, &mut response.body).await?,
        (_, false, Some(length)) => read_exactly(connection, length, &mut response.body).await?,
        // Neither: the body ends with the connection.
        (_, false, None) => {
            connection.read_to_end(&mut response.body).await?;
            keep = false;
        }
    }
    Ok((response, keep))
}

async fn read_chunks(connection: &mut BufReader<TcpStream>, line: &mut String, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        read_line(connection, line).await?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| invalid("chunk size", line))?;
        if size > 0 {
            read_exactly(connection, size, body).await?;
            read_line(connection, line).await?;
            continue;
        }
        // Trailers, up to the empty line.
        while !line.is_empty() {
            read_line(connection, line).await?;
        }
        return Ok(());
    }
}

async fn read_exactly(connection: &mut BufReader<TcpStream>, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = connection.take(length).read_to_end(body).await?;
    if read as u64 == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// A line without its end; the end of the connection is an error.
async fn read_line(connection: &mut BufReader<TcpStream>, line: &mut String) -> io::Result<()> {
    line.clear();
    connection.take(MAX_LINE_BYTES).read_line(line).await?;
    if line.pop() != Some('\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if line.ends_with('\r') {
        line.pop();
    }
    Ok(())
}

fn invalid(what: &str, text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("no {what}: {text:?}"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each connection's requests with these bytes in turn, then closes it.
    async fn serve(connections: Vec<Vec<&'static str>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            for answers in connections {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                for answer in answers {
                    let mut request = vec![0; 4_096];
                    assert!(stream.read(&mut request).await.expect("a request") > 0);
                    stream.write_all(answer.as_bytes()).await.expect("answered");
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn lengths_chunks_and_interim_answers_are_read_on_one_connection() {
        let url = serve(vec![vec![
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nConnection: close\r\n\r\nlater",
        ]])
        .await;
        let mut client = HttpClient::new(&url, "sk").expect("an address");
        let mut answers = Vec::new();
        for _ in 0..4 {
            let response = client.send("POST", "/", "", "{}").await.expect("answered");
            answers.push((
                response.status,
                String::from_utf8(response.body).expect("text"),
                response.retry_after_seconds,
            ));
        }
        let expected = [(200, "ok", None), (201, "abcde", None), (204, "", None), (429, "later", Some(7))];
        assert_eq!(answers, expected.map(|(status, body, after)| (status, body.to_owned(), after)));
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_meanwhile_is_replaced() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let url = serve(vec![vec![answer], vec![answer]]).await;
        let mut client = HttpClient::new(&url, "sk").expect("an address");
        for _ in 0..2 {
            assert_eq!(client.send("GET", "/", "", "").await.expect("answered").status, 200);
        }
    }

    #[tokio::test]
    async fn half_an_answer_is_an_error() {
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok";
        let url = serve(vec![vec![half], vec![half]]).await;
        let error =
            HttpClient::new(&url, "sk").expect("an address").send("GET", "/", "", "").await.expect_err("cut off");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
