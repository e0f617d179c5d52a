//! Connections: accepted until shutdown, cut when their caller falls silent in the middle of a request's head, and finished
//! in order when the process ends.

use std::time::Duration;

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;

/// How long a connection may wait for the whole head of its next request, the first one too. Proxies keep idle connections for
/// up to 60 s and must be the ones that close them: a request that meets our closing is lost to the proxy's caller.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// Between the signal and the platform's kill lie 60 s; the loops need some of them too.
const GRACE: Duration = Duration::from_secs(25);

/// Accepts until shutdown, then finishes what runs, within the grace period.
pub async fn listen(listener: TcpListener, router: Router, shutdown: Shutdown) {
    serve(listener, router, shutdown, HEAD_WITHIN).await;
}

async fn serve(mut listener: TcpListener, router: Router, shutdown: Shutdown, head_within: Duration) {
    let mut http1 = http1::Builder::new();
    http1.timer(TokioTimer::new()).header_read_timeout(head_within);
    let connections = GracefulShutdown::new();
    // axum's `accept` waits out what passes, such as too many open files.
    while let Some((stream, _)) = shutdown.token.run_until_cancelled(Listener::accept(&mut listener)).await {
        // Answers are written whole; to wait for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
        let service = TowerToHyperService::new(router.clone());
        let connection = connections.watch(http1.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, connections.shutdown()).await.is_err() {
        tracing::warn!("connections are cut that outlived the grace period");
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        sync::Notify,
        task::JoinHandle,
        time::timeout,
    };

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A server, and what its `/slow` tells of: that it was entered, and that it may answer.
    struct Server {
        address: SocketAddr,
        shutdown: Shutdown,
        task: JoinHandle<()>,
        entered: Arc<Notify>,
        may_answer: Arc<Notify>,
    }

    impl Server {
        async fn start(head_within: Duration) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let (entered, may_answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let told = (entered.clone(), may_answer.clone());
            let slow = async move || {
                told.0.notify_one();
                told.1.notified().await;
                "done"
            };
            let router = Router::new().route("/", get(async || "here")).route("/slow", get(slow));
            let shutdown = Shutdown::default();
            let task = tokio::spawn(serve(listener, router, shutdown.clone(), head_within));
            Self { address, shutdown, task, entered, may_answer }
        }

        async fn send(&self, text: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.expect("connects");
            stream.write_all(text.as_bytes()).await.expect("writes");
            stream
        }
    }

    /// All that comes until the server closes the connection.
    async fn read_to_end(mut stream: TcpStream) -> String {
        let mut text = String::new();
        timeout(SOON, stream.read_to_string(&mut text)).await.expect("it is closed").expect("it can be read");
        text
    }

    #[tokio::test]
    async fn half_a_head_is_not_waited_for_for_ever() {
        let server = Server::start(Duration::from_millis(200)).await;
        let stream = server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost:").await;
        let text = read_to_end(stream).await;
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("here"), "the whole request was answered: {text}");
    }

    #[tokio::test]
    async fn shutdown_waits_for_what_runs_and_not_for_idle_connections() {
        let server = Server::start(SOON * 2).await;
        let mut idle = server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        idle.read_exact(&mut [0; 12]).await.expect("an answer");
        let busy = server.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
        server.entered.notified().await;
        server.shutdown.begin();
        read_to_end(idle).await;
        assert!(!server.task.is_finished(), "a request runs");
        server.may_answer.notify_one();
        assert!(read_to_end(busy).await.ends_with("done"));
        timeout(SOON, server.task).await.expect("it ends").expect("it does not panic");
        TcpStream::connect(server.address).await.expect_err("no longer accepted");
    }
}
