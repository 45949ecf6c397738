//! Network devices to which peers are tied, and the routers on their links.

mod advertisement;
mod netlink;
mod router;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, PoisonError};

use chanter_types::IfName;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A network device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its number.
    pub(crate) index: u32,
    /// Whether packets get through: administratively up, with carrier.
    pub(crate) up: bool,
    /// Its Ethernet address, where it has one.
    pub(crate) mac: Option<[u8; 6]>,
}

/// All devices, or why they cannot be seen.
#[derive(Debug, Clone, Default)]
struct AllLinks {
    by_name: Arc<BTreeMap<IfName, Link>>,
    problem: Option<String>,
}

/// Network devices, watched as soon as somebody follows one.
#[derive(Debug)]
pub(crate) struct Links {
    all: Mutex<Option<(watch::Receiver<AllLinks>, AbortHandle)>>,
}

impl Drop for Links {
    fn drop(&mut self) {
        let all = self.all.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, task)) = all {
            task.abort();
        }
    }
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            all: Mutex::new(None),
        }
    }

    /// Follows a device by name; `discover`: also who advertises itself on its link, and tell that
    /// we are there.
    pub(crate) fn follow(&self, name: &IfName, discover: bool) -> Follower {
        let all = {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            let start = || {
                let (sender, all) = watch::channel(AllLinks::default());
                let task = tokio::spawn(netlink::run(sender));
                (all, task.abort_handle())
            };
            all.get_or_insert_with(start).0.clone()
        };
        let (sender, view) = watch::channel(LinkView::default());
        let task = tokio::spawn(follow(name.clone(), discover, all, sender));
        Follower {
            view,
            task: task.abort_handle(),
        }
    }
}

/// What is known of one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LinkView {
    /// The device; `None`: there is none of this name.
    pub(crate) link: Option<Link>,
    /// Who advertised itself last on its link.
    pub(crate) router: Option<Ipv6Addr>,
    /// Why more is not known.
    pub(crate) problem: Option<String>,
}

/// Somebody who follows a device.
#[derive(Debug)]
pub(crate) struct Follower {
    view: watch::Receiver<LinkView>,
    task: AbortHandle,
}

impl Follower {
    pub(crate) fn view(&mut self) -> LinkView {
        self.view.borrow_and_update().clone()
    }

    /// Waits for a change. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.view.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    name: IfName,
    discover: bool,
    mut all: watch::Receiver<AllLinks>,
    view: watch::Sender<LinkView>,
) {
    loop {
        let (link, problem) = {
            let all = all.borrow_and_update();
            (all.by_name.get(&name).copied(), all.problem.clone())
        };
        view.send_if_modified(|view| {
            let is_new = view.link != link || view.problem != problem;
            if view.link != link {
                // Somebody else may be at the other end now.
                view.router = None;
            }
            view.link = link;
            view.problem.clone_from(&problem);
            is_new
        });
        let discovering = async {
            match link.filter(|link| discover && link.up) {
                Some(link) => router::discover(&name, link, &view).await,
                None => std::future::pending().await,
            }
        };
        let changed = async {
            // Others have changed far more often than this one.
            loop {
                all.changed().await?;
                let all = all.borrow_and_update();
                if all.by_name.get(&name).copied() != link || all.problem != problem {
                    return Ok::<(), watch::error::RecvError>(());
                }
            }
        };
        tokio::select! {
            () = discovering => {}
            result = changed => if result.is_err() { return },
        }
    }
}
