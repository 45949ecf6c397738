//! The client against the native API over a unix socket, and clients of HTTP/1.0 over TCP.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chanter_api::client::{Client, ClientError};
use chanter_api::{bind_tcp, bind_unix, dto, serve_tcp, serve_unix};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::harness::{Node, evpn};

/// Serves the native API of a node on a socket until the sender is dropped.
async fn serve(node: &Node, path: &std::path::Path) -> oneshot::Sender<()> {
    let listener = bind_unix(path).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    tokio::spawn(serve_unix(listener, node.native.clone(), stopped));
    stop
}

#[tokio::test]
async fn every_call_is_understood_on_both_sides() {
    let node = Node::start().await;
    node.peer_up().await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("run/chanter.sock");
    let _running = serve(&node, &socket).await;
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let client = Client::new(&socket);
    let spec = dto::InstanceSpec {
        import: vec!["64512:1".to_owned()],
        export: vec!["64512:1".to_owned()],
        vni: Some(100),
        ..dto::InstanceSpec::default()
    };
    let put = client.put_instance("net/1", &spec).await.unwrap();
    assert_eq!(client.instance("net/1").await.unwrap(), put);
    assert_eq!(client.instances().await.unwrap(), [put]);
    let (mac, ip) = ("02:00:00:00:00:01", Some("2001:db8::1"));
    let spec = dto::AttachmentSpec {
        port: "tap1".to_owned(),
        ..dto::AttachmentSpec::default()
    };
    let put = client
        .put_attachment("net/1", mac, ip, &spec)
        .await
        .unwrap();
    assert_eq!(client.attachment("net/1", mac, ip).await.unwrap(), put);
    assert_eq!(
        client
            .attachments(&dto::AttachmentQuery::default())
            .await
            .unwrap(),
        [put]
    );
    let query = dto::RouteQuery {
        ip: ip.map(ToOwned::to_owned),
        ..dto::RouteQuery::default()
    };
    assert_eq!(client.routes(&query).await.unwrap().routes.len(), 1);
    let objects = client
        .dataplane(&dto::DataplaneQuery::default())
        .await
        .unwrap();
    assert!(!objects.is_empty());
    let query = dto::WhyQuery {
        address: mac.to_owned(),
        instance: Some("net/1".to_owned()),
    };
    assert_eq!(client.why(&query).await.unwrap().instances.len(), 1);
    assert_eq!(client.peers().await.unwrap().len(), 1);
    assert_eq!(client.summary().await.unwrap().attachments, 1);
    assert!(client.health().await.unwrap().ready);
    client.delete_attachment("net/1", mac, ip).await.unwrap();
    client.delete_instance("net/1").await.unwrap();
    let gone = client.instance("net/1").await.unwrap_err();
    assert_eq!(
        gone.problem().map(|problem| problem.status),
        Some(404),
        "{gone}"
    );
}

#[tokio::test]
async fn events_are_streamed() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("chanter.sock");
    let _running = serve(&node, &socket).await;
    let mut events = Client::new(&socket).events().await.unwrap();
    assert_eq!(node.attach(&evpn("net", 1)).await.status, 200);
    let installed = async {
        loop {
            let event = events.next().await.unwrap().expect("the daemon runs");
            if event.event == "object" && event.text.contains("02:00:00:00:0a:01 192.168.10.1") {
                return event;
            }
        }
    };
    let event = tokio::time::timeout(Duration::from_secs(20), installed)
        .await
        .unwrap();
    assert_eq!(event.detail["source"], "rest");
    assert!(event.at.ends_with('Z'), "{}", event.at);
}

#[tokio::test]
async fn an_open_stream_keeps_no_daemon_from_stopping() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("chanter.sock");
    let listener = bind_unix(&socket).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let serving = tokio::spawn(serve_unix(listener, node.native.clone(), stopped));
    let _events = Client::new(&socket).events().await.unwrap();
    drop(stop);
    let ended = tokio::time::timeout(Duration::from_secs(20), serving).await;
    ended.expect("it ends by itself").unwrap().unwrap();
}

#[tokio::test]
async fn what_keeps_a_client_from_the_daemon_is_said() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("chanter.sock");
    let error = Client::new(&socket).summary().await.unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon(_)));
    let text = format!(
        "no daemon at {} (is `chanter agent` running?)",
        socket.display()
    );
    assert_eq!(error.to_string(), text);
    // A killed daemon leaves its socket behind: the next one takes its place.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let error = Client::new(&socket).summary().await.unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon(_)), "{error}");
    let _running = serve(&node, &socket).await;
    Client::new(&socket).summary().await.unwrap();
    // But not that of a living one.
    let error = bind_unix(&socket).await.unwrap_err();
    assert!(error.to_string().contains("another daemon does"), "{error}");
    // Nor a file that is no socket.
    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    assert!(bind_unix(&file).await.is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[tokio::test]
async fn clients_of_http_1_0_are_served() {
    let node = Node::start().await;
    let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    tokio::spawn(serve_tcp(listener, node.bagpipe.clone(), stopped));
    for request in [
        format!(
            "POST /attach_localport HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}",
            evpn("net", 1).to_string().len(),
            evpn("net", 1)
        ),
        // curl -d without a header of its own.
        format!(
            "POST /attach_localport HTTP/1.1\r\nHost: node:8082\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{}",
            evpn("net", 2).to_string().len(),
            evpn("net", 2)
        ),
    ] {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.lines().next().unwrap();
        assert!(status.ends_with(" 200 OK"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nnull"), "{answer}");
    }
    drop(stop);
}
