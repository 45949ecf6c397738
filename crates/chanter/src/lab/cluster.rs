//! The lab's daemons together: started, asked, waited for.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use chanter_api::client::Client;
use chanter_api::dto::{AttachmentSpec, DataplaneQuery, InstanceSpec, StatusName, Summary};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::daemon::Daemon;
use super::ground::Ground;
use super::progress::Step;
use super::topology::{NETWORKS, Network, REFLECTOR, Topology, endpoint_addrs, endpoint_mac};

/// How often a daemon is asked while something is waited for.
const POLL: Duration = Duration::from_millis(20);
/// For how long anything is waited for. Generous: a busy machine is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a killed agent stays away: longer than its peers need to notice.
const AWAY: Duration = Duration::from_secs(1);

/// What the restart of an agent did to traffic and routes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct RestartReport {
    /// The node whose agent was killed.
    pub(crate) node: String,
    /// Requests sent before, while and after it was away, of all probes.
    pub(crate) sent: u32,
    /// Requests without a reply.
    pub(crate) lost: u32,
    /// The longest time without a reply, over all probes; requests are 10 ms apart.
    pub(crate) longest_silence_seconds: f64,
    /// Routes that the reflector kept as stale meanwhile.
    pub(crate) stale_routes_kept: usize,
    /// From the kill to the start.
    pub(crate) away_seconds: f64,
    /// From the start until the new agent answered.
    pub(crate) answering_seconds: f64,
    /// From the start until its session was back, with End-of-RIB in both directions.
    pub(crate) session_seconds: f64,
    /// From the start until it had everything of before, in its dataplane too.
    pub(crate) converged_seconds: f64,
}

/// The route reflector and the agents, in the order of [`Topology::daemons`].
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) lab: Topology,
    daemons: Vec<Daemon>,
}

impl Cluster {
    /// Writes the configuration of every daemon and starts it.
    pub(crate) fn start(lab: &Topology, ground: &Ground) -> anyhow::Result<Self> {
        let mut cluster = Self {
            lab: lab.clone(),
            daemons: Vec::new(),
        };
        for (number, place) in (0..=lab.nodes).zip(lab.daemons()) {
            let dir = ground.place_dir(&place);
            std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
            let text = dir.to_string_lossy();
            let (role, config) = match number {
                0 => ("rr", lab.reflector_config(&text)),
                node => ("agent", lab.node_config(node, &text)),
            };
            std::fs::write(dir.join("chanter.toml"), config)?;
            let namespace = lab.name.namespace(&place);
            cluster
                .daemons
                .push(Daemon::start(&place, &namespace, role, dir)?);
        }
        Ok(cluster)
    }

    /// The daemon of a node; 0 is the reflector.
    pub(crate) fn daemon(&mut self, number: u8) -> anyhow::Result<&mut Daemon> {
        self.daemons
            .get_mut(usize::from(number))
            .context("no such node")
    }

    /// All daemons.
    pub(crate) fn daemons(&self) -> &[Daemon] {
        &self.daemons
    }

    /// They are to live on after this process.
    pub(crate) fn keep(&mut self) {
        self.daemons.iter_mut().for_each(Daemon::keep);
    }

    /// A client of a node; 0 is the reflector.
    pub(crate) fn client(&self, number: u8) -> anyhow::Result<Client> {
        let daemon = self
            .daemons
            .get(usize::from(number))
            .context("no such node")?;
        Ok(Client::new(daemon.socket()))
    }

    /// Asks again and again until the answer is `None`: nothing is left to wait for. Fails after a
    /// while with the last answer, and at once if a daemon has ended.
    pub(crate) async fn wait_until(
        &mut self,
        step: &Step,
        mut left: impl AsyncFnMut(&Cluster) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let waiting_for = match left(self).await {
                Ok(None) => return Ok(()),
                Ok(Some(text)) => text,
                // A daemon that has just been started does not answer yet.
                Err(error) => format!("{error:#}"),
            };
            for daemon in &mut self.daemons {
                if let Some(status) = daemon.ended() {
                    bail!("the daemon of {} has ended: {status}", daemon.place);
                }
            }
            if Instant::now() > deadline {
                bail!(
                    "after {} s still waiting: {waiting_for}",
                    PATIENCE.as_secs()
                );
            }
            step.tell(&waiting_for);
            sleep(POLL).await;
        }
    }

    /// `None` once every daemon answers.
    pub(crate) async fn silent_daemon(&self) -> anyhow::Result<Option<String>> {
        for (number, daemon) in (0u8..).zip(&self.daemons) {
            if let Err(error) = self.client(number)?.summary().await {
                return Ok(Some(format!("{}: {error}", daemon.place)));
            }
        }
        Ok(None)
    }

    /// `None` once every agent has its session, and both sides have told all their routes.
    pub(crate) async fn missing_session(&self) -> anyhow::Result<Option<String>> {
        for node in self.lab.node_numbers() {
            if let Some(text) = self.session_state(node).await? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// `None` once the session of `node` is established and End-of-RIB has come and gone on it.
    pub(crate) async fn session_state(&self, node: u8) -> anyhow::Result<Option<String>> {
        let place = Topology::node(node);
        let peers = self.client(node)?.peers().await?;
        let Some(peer) = peers.first() else {
            return Ok(Some(format!("{place} has no peer")));
        };
        if peer.state != "Established" {
            let error = peer.last_error.as_ref().map(|error| format!(": {error}"));
            let error = error.unwrap_or_default();
            return Ok(Some(format!("session of {place} is {}{error}", peer.state)));
        }
        let open = peer.families.iter().find(|family| {
            !(family.end_of_rib_received && family.end_of_rib_sent) && family.family != "ipv4-rtc"
        });
        Ok(open.map(|family| format!("{place} waits for End-of-RIB of {}", family.family)))
    }

    /// Kills the agent of `node`, waits until the reflector has noticed, starts it again and waits
    /// until everything is as before.
    pub(crate) async fn kill_and_restart(
        &mut self,
        node: u8,
        step: &Step,
        report: &mut RestartReport,
    ) -> anyhow::Result<()> {
        let killed = Instant::now();
        self.daemon(node)?.kill()?;
        step.tell(&format!(
            "the agent of {} is dead, pings go on",
            report.node
        ));
        let noticed = killed + AWAY;
        while Instant::now() < noticed {
            let (_, stale) = self.held_by_reflector(node).await?;
            report.stale_routes_kept = report.stale_routes_kept.max(stale);
            sleep(POLL).await;
        }
        self.daemon(node)?.restart()?;
        let started = Instant::now();
        report.away_seconds = killed.elapsed().as_secs_f64();
        self.wait_until(step, Cluster::silent_daemon).await?;
        report.answering_seconds = started.elapsed().as_secs_f64();
        self.wait_until(step, async |cluster| cluster.session_state(node).await)
            .await?;
        report.session_seconds = started.elapsed().as_secs_f64();
        self.wait_until(step, Cluster::any_unconverged).await?;
        report.converged_seconds = started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Routes of `node` that the reflector has, and how many of them are stale.
    async fn held_by_reflector(&self, node: u8) -> anyhow::Result<(usize, usize)> {
        let addr = self.lab.underlay_addr(node).to_string();
        let peers = self.client(0)?.peers().await?;
        let peer = peers.iter().find(|peer| peer.addr == addr);
        let peer = peer.with_context(|| format!("{REFLECTOR} does not know {addr}"))?;
        let evpn = peer
            .families
            .iter()
            .filter(|family| family.family == "l2vpn-evpn");
        Ok(evpn.fold((0, 0), |(received, stale), family| {
            (received + family.received, stale + family.stale)
        }))
    }

    /// Attaches the endpoint of `network` on `node`, with all its addresses.
    pub(crate) async fn attach(
        &self,
        network: Network,
        node: u8,
        extra: Option<std::net::Ipv4Addr>,
    ) -> anyhow::Result<usize> {
        let client = self.client(node)?;
        let rt = network.rt().to_string();
        let instance = InstanceSpec {
            import: vec![rt.clone()],
            export: vec![rt],
            vni: Some(network.vni().value()),
            ..InstanceSpec::default()
        };
        let spec = AttachmentSpec {
            port: network.endpoint(node),
            instance: Some(instance),
            ..AttachmentSpec::default()
        };
        let mac = endpoint_mac(node).to_string();
        let addrs = endpoint_addrs(node)
            .into_iter()
            .chain(extra.map(Into::into));
        let mut attached = 0;
        for addr in addrs {
            let ip = addr.to_string();
            let answer = client
                .put_attachment(network.name, &mac, Some(&ip), &spec)
                .await;
            let attachment = answer.with_context(|| {
                format!(
                    "attach {ip} to {} on {}",
                    network.name,
                    Topology::node(node)
                )
            })?;
            if attachment.status.state != StatusName::Installed {
                bail!(
                    "{ip} of {} on node {node} is {:?}",
                    network.name,
                    attachment.status
                );
            }
            attached += 1;
        }
        Ok(attached)
    }

    /// `None` once `node` knows every remote endpoint and has it in its dataplane.
    pub(crate) async fn unconverged(&self, node: u8) -> anyhow::Result<Option<String>> {
        let client = self.client(node)?;
        let place = Topology::node(node);
        let others = usize::from(self.lab.nodes) - 1;
        let instances = client.instances().await?;
        for network in NETWORKS {
            let Some(instance) = instances
                .iter()
                .find(|instance| instance.id == network.name)
            else {
                return Ok(Some(format!("{place} has no instance {}", network.name)));
            };
            let vteps = instance.remote_vteps.iter().collect::<BTreeSet<_>>().len();
            if (instance.remote_macs, vteps) != (others, others) {
                return Ok(Some(format!(
                    "{place} knows {} of {others} remote MACs of {}",
                    instance.remote_macs, network.name
                )));
            }
        }
        let objects = client.dataplane(&DataplaneQuery::default()).await?;
        let lacking = objects
            .iter()
            .filter(|object| object.state != StatusName::Installed);
        let lacking: Vec<&str> = lacking.map(|object| object.key.as_str()).collect();
        Ok(lacking.first().map(|key| format!("{place} installs {key}")))
    }

    /// `None` once all nodes have converged.
    pub(crate) async fn any_unconverged(&self) -> anyhow::Result<Option<String>> {
        for node in self.lab.node_numbers() {
            if let Some(text) = self.unconverged(node).await? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// The summaries of all agents.
    pub(crate) async fn summaries(&self) -> anyhow::Result<Vec<Summary>> {
        let mut summaries = Vec::new();
        for node in self.lab.node_numbers() {
            summaries.push(self.client(node)?.summary().await?);
        }
        Ok(summaries)
    }
}
