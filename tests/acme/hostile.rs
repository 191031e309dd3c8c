//! An HTTP server that answers everything with the same words.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Starts a server: its URL. It ends with the test.
pub fn answering(head: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let _ = answer(connection, head, &body);
        }
    });
    format!("http://{address}/dir")
}

fn answer(mut connection: TcpStream, head: &str, body: &str) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = connection.read(&mut request)?;
    let length = body.len();
    write!(connection, "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
