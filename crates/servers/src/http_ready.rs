//! Whether a health page answers 200. Asked while a child starts, so it waits for nothing but loopback.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Health is answered from memory.
const WITHIN: Duration = Duration::from_millis(500);

pub fn answers_ok(port: u16, path: &str) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let answer = TcpStream::connect_timeout(&address, WITHIN).and_then(|mut stream| {
        stream.set_read_timeout(Some(WITHIN))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut start = [0_u8; 12];
        stream.read_exact(&mut start).map(|()| start)
    });
    answer.is_ok_and(|start| start.ends_with(b" 200"))
}
