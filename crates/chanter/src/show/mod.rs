//! The operator's commands: questions to a daemon over its unix socket, answers as tables or JSON.

mod operate;
mod render;
mod table;
mod time;

use std::io::Write;
use std::net::IpAddr;
use std::process::ExitCode;

use chanter_api::client::{Client, ClientError};
use chanter_api::dto;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::{
    AttachArgs, DetachArgs, DrainArgs, EXIT_RUNTIME, PlainArgs, RoutesArgs, ShowArgs, ShowWhat,
    WatchArgs, WhyArgs,
};

pub use operate::{peer, reload, test_policy};
pub(crate) use table::pairs;
pub(crate) use time::short;

/// Runs a command to its end.
pub fn run(command: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Output(error).report(),
    };
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The daemon cannot be asked, or says no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The answer cannot be printed.
    #[error("cannot print: {0}")]
    Output(#[from] std::io::Error),
    /// The output has said it all; the exit code is this.
    #[error("exit code {0}")]
    Told(u8),
    /// There is nothing of that name.
    #[error("{0}")]
    Absent(String),
}

impl Failure {
    fn report(self) -> ExitCode {
        // Whoever reads the output may stop reading (`| head`).
        if let Failure::Output(error) = &self
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            return ExitCode::SUCCESS;
        }
        if let Failure::Told(code) = self {
            return ExitCode::from(code);
        }
        eprintln!("chanter: {:#}", anyhow::Error::new(self));
        ExitCode::from(EXIT_RUNTIME)
    }
}

fn client(plain: &PlainArgs) -> Client {
    Client::new(&plain.socket.socket)
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints a line for the reader, who may have stopped reading.
pub fn say(line: &str) {
    let _ = print(&format!("{line}\n"));
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    print(&format!("{text}\n"))
}

/// Prints `value` as JSON or as text.
fn answer<T: Serialize>(
    plain: &PlainArgs,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    if plain.json {
        print_json(value)
    } else {
        print(&text(value))
    }
}

/// `chanter show`.
pub async fn show(args: ShowArgs) -> Result<(), Failure> {
    let now = Timestamp::now();
    match args.what {
        ShowWhat::Summary(plain) => {
            let summary = client(&plain).summary().await?;
            answer(&plain, &summary, |summary| render::summary(summary, now))
        }
        ShowWhat::Peers { peer: None, plain } => {
            let peers = client(&plain).peers().await?;
            answer(&plain, &peers, |peers| render::peers(peers, now))
        }
        ShowWhat::Peers {
            peer: Some(name),
            plain,
        } => {
            let peer = client(&plain).peer(&name).await?;
            answer(&plain, &peer, |peer| render::peer(peer, now))
        }
        ShowWhat::Bfd(plain) => {
            let sessions = client(&plain).bfd().await?;
            answer(&plain, &sessions, |sessions| render::bfd(sessions, now))
        }
        ShowWhat::Policy { policy, plain } => policies(policy, &plain).await,
        ShowWhat::Instances {
            instance: None,
            plain,
        } => {
            let instances = client(&plain).instances().await?;
            answer(&plain, &instances, |instances| render::instances(instances))
        }
        ShowWhat::Instances {
            instance: Some(id),
            plain,
        } => instance(&id, &plain).await,
        ShowWhat::Routes(args) => routes(args, now).await,
        ShowWhat::Dataplane {
            instance,
            failed,
            plain,
        } => {
            let objects = client(&plain)
                .dataplane(&dto::DataplaneQuery { instance })
                .await?;
            let wanted = |object: &&dto::DesiredObject| {
                !failed || object.state != dto::StatusName::Installed
            };
            let objects: Vec<&dto::DesiredObject> = objects.iter().filter(wanted).collect();
            answer(&plain, &objects, |objects| render::dataplane(objects))
        }
    }
}

async fn policies(name: Option<String>, plain: &PlainArgs) -> Result<(), Failure> {
    let client = client(plain);
    match name {
        None => {
            let policies = client.policies().await?;
            answer(plain, &policies, |policies| render::policies(policies))
        }
        Some(name) => {
            let policy = client.policy(&name).await?;
            answer(plain, &policy, render::policy)
        }
    }
}

/// One instance in full.
#[derive(Serialize)]
struct WholeInstance {
    #[serde(flatten)]
    instance: dto::Instance,
    /// In the place of their count.
    attachments: Vec<dto::Attachment>,
}

async fn instance(id: &str, plain: &PlainArgs) -> Result<(), Failure> {
    let client = client(plain);
    let instance = client.instance(id).await?;
    let query = dto::AttachmentQuery {
        instance: Some(id.to_owned()),
    };
    let attachments = client.attachments(&query).await?;
    let whole = WholeInstance {
        instance,
        attachments,
    };
    answer(plain, &whole, |whole| {
        render::instance(&whole.instance, &whole.attachments)
    })
}

async fn routes(args: RoutesArgs, now: Timestamp) -> Result<(), Failure> {
    let client = client(&args.plain);
    let (peer, advertised_to) = match args.advertised {
        true => (None, args.peer),
        false => (args.peer, args.advertised_to),
    };
    let mut query = dto::RouteQuery {
        family: args.family.map(|family| family.to_string()),
        instance: args.instance,
        mac: args.mac.map(|mac| mac.to_string()),
        ip: args.ip.map(|ip| ip.to_string()),
        peer,
        advertised_to,
        local: args.local.then_some(true),
        after: None,
        limit: None,
    };
    let mut routes = Vec::new();
    loop {
        let page = client.routes(&query).await?;
        routes.extend(page.routes);
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    routes.sort_by(|a, b| a.family.cmp(&b.family).then_with(|| a.nlri.cmp(&b.nlri)));
    answer(&args.plain, &routes, |routes| {
        render::routes(routes, args.detail, now)
    })
}

/// `chanter why`.
pub async fn why(args: WhyArgs) -> Result<(), Failure> {
    let query = dto::WhyQuery {
        address: args.address.clone(),
        instance: args.instance,
    };
    let report = client(&args.plain).why(&query).await?;
    let now = Timestamp::now();
    answer(&args.plain, &report, |report| {
        render::why(&args.address, report, now)
    })?;
    let is_empty =
        report.instances.is_empty() && report.routes.is_empty() && report.not_taken.is_empty();
    match is_empty && args.plain.json {
        true => Err(Failure::Absent(format!(
            "nothing is known of {} here",
            args.address
        ))),
        false => Ok(()),
    }
}

/// `chanter watch`.
pub async fn watch(args: WatchArgs) -> Result<(), Failure> {
    let mut events = client(&args.plain).events().await?;
    let zone = jiff::tz::TimeZone::system();
    while let Some(event) = events.next().await? {
        let line = if args.plain.json {
            serde_json::to_string(&event).map_err(std::io::Error::other)?
        } else {
            render::event(&event, &zone)
        };
        print(&format!("{line}\n"))?;
    }
    Err(Failure::Absent("the daemon has stopped".to_owned()))
}

/// `chanter attach`.
pub async fn attach(args: AttachArgs) -> Result<(), Failure> {
    let client = Client::new(&args.socket.socket);
    let spec = dto::AttachmentSpec {
        port: args.port.clone(),
        vlan: args.vlan,
        local_pref: args.local_pref,
        sticky: args.sticky,
        description: args.description.clone().map(Into::into),
        instance: instance_spec(&args),
    };
    let mac = args.mac.to_string();
    let mut attached = Vec::new();
    for ip in some_or_none(&args.ip) {
        let ip = ip.map(|ip| ip.to_string());
        attached.push(
            client
                .put_attachment(&args.instance, &mac, ip.as_deref(), &spec)
                .await?,
        );
    }
    if args.json {
        return print_json(&attached);
    }
    print(&render::attachments(&attached))
}

/// The instance to declare along, if anything is said of it.
fn instance_spec(args: &AttachArgs) -> Option<dto::InstanceSpec> {
    let texts = |own: &[chanter_types::RouteTarget]| -> Vec<String> {
        args.rt.iter().chain(own).map(ToString::to_string).collect()
    };
    let spec = dto::InstanceSpec {
        import: texts(&args.import_rt),
        export: texts(&args.export_rt),
        vni: args.vni,
        rd: args.rd.map(|rd| rd.to_string()),
        bridge: args.bridge.as_ref().map(ToString::to_string),
        ..dto::InstanceSpec::default()
    };
    (spec != dto::InstanceSpec::default()).then_some(spec)
}

/// `chanter detach`.
pub async fn detach(args: DetachArgs) -> Result<(), Failure> {
    let client = Client::new(&args.socket.socket);
    let mac = args.mac.to_string();
    let ips: Vec<Option<String>> = match args.ip.is_empty() {
        false => args.ip.iter().map(|ip| Some(ip.to_string())).collect(),
        true => addresses_of(&client, &args.instance, &mac).await?,
    };
    for ip in &ips {
        client
            .delete_attachment(&args.instance, &mac, ip.as_deref())
            .await?;
    }
    if args.json {
        return print_json(&serde_json::json!({ "detached": ips.len() }));
    }
    print(&format!(
        "{mac} of {} is detached: {}\n",
        args.instance,
        count(ips.len(), "address")
    ))
}

/// All attachments of the endpoint, each by its address; `None`: the one without.
async fn addresses_of(
    client: &Client,
    instance: &str,
    mac: &str,
) -> Result<Vec<Option<String>>, Failure> {
    let query = dto::AttachmentQuery {
        instance: Some(instance.to_owned()),
    };
    let attachments = client.attachments(&query).await?;
    let ips: Vec<Option<String>> = attachments
        .into_iter()
        .filter(|attachment| attachment.mac == mac)
        .map(|attachment| attachment.ip)
        .collect();
    match ips.is_empty() {
        true => Err(Failure::Absent(format!(
            "{mac} is not attached to {instance}"
        ))),
        false => Ok(ips),
    }
}

/// `chanter drain`.
pub async fn drain(args: DrainArgs) -> Result<(), Failure> {
    let client = Client::new(&args.socket.socket);
    let attachments = client.attachments(&dto::AttachmentQuery::default()).await?;
    let own = attachments
        .iter()
        .filter(|attachment| attachment.source == "rest");
    let mut drained = 0;
    for attachment in own {
        let dto::Attachment {
            instance, mac, ip, ..
        } = attachment;
        client
            .delete_attachment(instance, mac, ip.as_deref())
            .await?;
        drained += 1;
    }
    // Those that were declared by themselves, not along with an attachment.
    for instance in client.instances().await? {
        if instance.sources.iter().any(|source| source == "rest") {
            client.delete_instance(&instance.id).await?;
        }
    }
    let left = client.summary().await?;
    if args.json {
        return print_json(&serde_json::json!({
            "drained": drained,
            "attachments_left": left.attachments,
            "dataplane_objects_left": left.desired_objects,
        }));
    }
    let rest = match left.attachments {
        0 => "none is left; the daemon can be stopped for good".to_owned(),
        count => format!("{count} of other sources are left"),
    };
    print(&format!(
        "{} withdrawn and removed, {rest}\n",
        count(drained, "attachment")
    ))
}

pub(crate) fn count(number: usize, what: &str) -> String {
    match (number, what) {
        (1, _) => format!("1 {what}"),
        (_, "address") => format!("{number} addresses"),
        _ => format!("{number} {what}s"),
    }
}

/// Each address, or once none.
fn some_or_none(ips: &[IpAddr]) -> Vec<Option<IpAddr>> {
    if ips.is_empty() {
        vec![None]
    } else {
        ips.iter().copied().map(Some).collect()
    }
}
