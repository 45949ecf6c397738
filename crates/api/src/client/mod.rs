//! The native API from the other side: what the command line uses.
//!
//! One connection for each request, over the daemon's unix socket. Types are those of
//! [`crate::dto`].

mod error;
mod events;
mod request;

use std::path::{Path, PathBuf};

use hyper::Method;
use serde::Serialize;

pub use self::error::ClientError;
pub use self::events::EventStream;
use self::request::{Request, segment};
use crate::dto;

/// A client of the daemon behind one unix socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// What a request yields.
type Answer<T> = Result<T, ClientError>;

impl Client {
    /// A client of the daemon behind `socket`; nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Client {
        Client {
            socket: socket.into(),
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The node in a few numbers.
    ///
    /// # Errors
    /// [`ClientError`], as for all others.
    pub async fn summary(&self) -> Answer<dto::Summary> {
        self.get("/v1/summary".to_owned()).await
    }

    /// Whether the node does its work; a node that is not ready is no error.
    pub async fn health(&self) -> Answer<dto::Health> {
        self.request(Method::GET, "/v1/health".to_owned())
            .also(503)
            .json()
            .await
    }

    /// BGP peers.
    pub async fn peers(&self) -> Answer<Vec<dto::Peer>> {
        self.get("/v1/peers".to_owned()).await
    }

    /// One BGP peer in full.
    pub async fn peer(&self, name: &str) -> Answer<dto::PeerInFull> {
        self.get(peer_path(name, "")).await
    }

    /// Ends the session with a peer until it is enabled.
    pub async fn shutdown_peer(&self, name: &str, message: &dto::PeerMessage) -> Answer<()> {
        self.request(Method::POST, peer_path(name, "/shutdown"))
            .body(message)?
            .nothing()
            .await
    }

    /// Takes a shutdown back.
    pub async fn enable_peer(&self, name: &str) -> Answer<()> {
        self.request(Method::POST, peer_path(name, "/enable"))
            .nothing()
            .await
    }

    /// Starts anew with a peer.
    pub async fn clear_peer(&self, name: &str, clear: &dto::PeerClear) -> Answer<()> {
        self.request(Method::POST, peer_path(name, "/clear"))
            .body(clear)?
            .nothing()
            .await
    }

    /// Reads the configuration again.
    pub async fn reload(&self) -> Answer<dto::ReloadReport> {
        self.request(Method::POST, "/v1/reload".to_owned())
            .json()
            .await
    }

    /// BFD sessions.
    pub async fn bfd(&self) -> Answer<Vec<dto::BfdSession>> {
        self.get("/v1/bfd".to_owned()).await
    }

    /// Policies.
    pub async fn policies(&self) -> Answer<Vec<dto::Policy>> {
        self.get("/v1/policies".to_owned()).await
    }

    /// A policy.
    pub async fn policy(&self, name: &str) -> Answer<dto::Policy> {
        self.get(format!("/v1/policies/{}", segment(name))).await
    }

    /// What a policy would make of a route.
    pub async fn test_policy(
        &self,
        name: &str,
        trial: &dto::PolicyTrial,
    ) -> Answer<dto::PolicyOutcome> {
        let path = format!("/v1/policies/{}/test", segment(name));
        self.request(Method::POST, path).body(trial)?.json().await
    }

    /// VPN instances, of all sources.
    pub async fn instances(&self) -> Answer<Vec<dto::Instance>> {
        self.get("/v1/instances".to_owned()).await
    }

    /// A VPN instance.
    pub async fn instance(&self, id: &str) -> Answer<dto::Instance> {
        self.get(instance_path(id)).await
    }

    /// Declares a VPN instance.
    pub async fn put_instance(&self, id: &str, spec: &dto::InstanceSpec) -> Answer<dto::Instance> {
        self.request(Method::PUT, instance_path(id))
            .body(spec)?
            .json()
            .await
    }

    /// Removes a VPN instance with its attachments.
    pub async fn delete_instance(&self, id: &str) -> Answer<()> {
        self.request(Method::DELETE, instance_path(id))
            .nothing()
            .await
    }

    /// Attachments of all sources, or those of one instance.
    pub async fn attachments(&self, query: &dto::AttachmentQuery) -> Answer<Vec<dto::Attachment>> {
        self.get(with_query("/v1/attachments", query)?).await
    }

    /// An attachment.
    pub async fn attachment(
        &self,
        instance: &str,
        mac: &str,
        ip: Option<&str>,
    ) -> Answer<dto::Attachment> {
        self.get(attachment_path(instance, mac, ip)).await
    }

    /// Attaches an endpoint; answers once the dataplane has it.
    pub async fn put_attachment(
        &self,
        instance: &str,
        mac: &str,
        ip: Option<&str>,
        spec: &dto::AttachmentSpec,
    ) -> Answer<dto::Attachment> {
        let path = attachment_path(instance, mac, ip);
        self.request(Method::PUT, path).body(spec)?.json().await
    }

    /// Detaches an endpoint.
    pub async fn delete_attachment(
        &self,
        instance: &str,
        mac: &str,
        ip: Option<&str>,
    ) -> Answer<()> {
        self.request(Method::DELETE, attachment_path(instance, mac, ip))
            .nothing()
            .await
    }

    /// One page of routes.
    pub async fn routes(&self, query: &dto::RouteQuery) -> Answer<dto::RoutePage> {
        self.get(with_query("/v1/routes", query)?).await
    }

    /// The desired dataplane.
    pub async fn dataplane(&self, query: &dto::DataplaneQuery) -> Answer<Vec<dto::DesiredObject>> {
        self.get(with_query("/v1/dataplane", query)?).await
    }

    /// Why an address is where it is.
    pub async fn why(&self, query: &dto::WhyQuery) -> Answer<dto::WhyReport> {
        self.get(with_query("/v1/why", query)?).await
    }

    /// Events from now on.
    pub async fn events(&self) -> Answer<EventStream> {
        let body = self
            .request(Method::GET, "/v1/events".to_owned())
            .stream()
            .await?;
        Ok(EventStream::new(self.socket.clone(), body))
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: String) -> Answer<T> {
        self.request(Method::GET, path).json().await
    }

    fn request(&self, method: Method, path: String) -> Request<'_> {
        Request::new(&self.socket, method, path)
    }
}

fn peer_path(name: &str, action: &str) -> String {
    format!("/v1/peers/{}{action}", segment(name))
}

fn instance_path(id: &str) -> String {
    format!("/v1/instances/{}", segment(id))
}

fn attachment_path(instance: &str, mac: &str, ip: Option<&str>) -> String {
    let path = format!("{}/attachments/{}", instance_path(instance), segment(mac));
    match ip {
        Some(ip) => format!("{path}/{}", segment(ip)),
        None => path,
    }
}

fn with_query(path: &str, query: &impl Serialize) -> Answer<String> {
    // Query types are flat: names with texts, numbers or truth values.
    let value = serde_json::to_value(query).map_err(ClientError::Encode)?;
    let members = value.as_object().into_iter().flatten();
    let pairs = members.filter_map(|(name, value)| {
        let text = match value {
            serde_json::Value::Null => return None,
            serde_json::Value::String(text) => segment(text),
            other => segment(&other.to_string()),
        };
        Some(format!("{name}={text}"))
    });
    let pairs: Vec<String> = pairs.collect();
    Ok(if pairs.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", pairs.join("&"))
    })
}
