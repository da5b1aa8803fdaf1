//! The beginning of a connection to an HTTPS endpoint.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::tls::{Acceptor, Stream};

/// The first byte that a TLS client sends: the record's type, a handshake.
const HANDSHAKE: u8 = 0x16;

const PLAIN: &str = "{\"type\":\"urn:less:plain-http\",\"title\":\"Bad Request\",\"status\":400,\"detail\":\"this address speaks HTTPS: https:// instead of http://\"}";

/// Speaks TLS; `None` with a client that does not. One that speaks plain HTTP is told so: it would see nothing but a broken connection.
pub(super) async fn open(acceptor: &Acceptor, mut stream: TcpStream) -> Option<Stream> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first[0] != HANDSHAKE {
        let length = PLAIN.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\r\n{PLAIN}"
        );
        if stream.write_all(answer.as_bytes()).await.is_ok() && stream.shutdown().await.is_ok() {
            // What it still sends is read, up to a request's usual size: closing before would reset the connection, and the answer with it.
            let _ =
                tokio::io::copy(&mut tokio::io::AsyncReadExt::take(stream, 64 << 10), &mut tokio::io::sink())
                    .await;
        }
        return None;
    }
    match acceptor.accept(stream).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!("a client that does not come to terms about TLS: {error}");
            None
        }
    }
}
