//! `cargo xtask bench attach`: from a REST attach to the UPDATE on the peer's wire.
//!
//! ```text
//!   client --REST--> daemon under test --BGP--> sink, which writes down when it heard of which MAC
//! ```
//!
//! Every daemon meets the same client, the same sink, the same bodies, one after the other on an
//! otherwise idle machine. Two figures each: one attach at a time, from the first octet of the
//! request to the UPDATE (p50, p99); and many attaches in a row, from the first request to the last
//! answer and to the last UPDATE.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chanter_interop::{
    ASN, Agent, AgentConfig, Bagpipe, BagpipeDataplane, BgpSink, Endpoint, Lab, Node, Rest, build,
    evpn_body, in_lab, secs,
};
use clap::Args;
use serde_json::{Value, json};

const VNI: u32 = 7000;

/// How long a daemon may take for everything that is asked of it in one step.
const PATIENCE: Duration = secs(600);

/// What is measured.
#[derive(Args)]
pub(crate) struct AttachOptions {
    /// Attaches measured one at a time
    #[arg(long, default_value_t = 300)]
    single: u32,
    /// Attaches in a row
    #[arg(long, default_value_t = 1000)]
    row: u32,
    /// How often each daemon is measured, in turns; the table shows medians
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

/// A daemon under test.
#[derive(Clone, Copy)]
enum Subject {
    Bagpipe(BagpipeDataplane),
    Chanter(&'static str),
}

/// What was measured with one of them: one at a time p50 and p99, many in a row answered and
/// advertised.
type Figures = [Duration; 4];

/// Measures both daemons with both dataplanes and prints a table.
pub(crate) fn attach(options: &AttachOptions) -> Result<()> {
    ensure!(
        options.single > 0 && options.row > 0 && options.rounds > 0,
        "--single, --row, --rounds: at least 1"
    );
    eprintln!("building chanter, optimized");
    let program = build(&["--release"])?;
    let row = options.row;
    println!("| dataplane | daemon | one attach, p50 | p99 | {row} answered | {row} advertised |");
    println!("|---|---|---|---|---|---|");
    for (driver, bagpipe) in [
        ("dummy", BagpipeDataplane::Dummy),
        ("linux", BagpipeDataplane::Linux),
    ] {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for round in 1..=options.rounds {
            eprintln!("{driver}: round {round} of {}", options.rounds);
            theirs.push(measure(Subject::Bagpipe(bagpipe), options, &program)?);
            ours.push(measure(Subject::Chanter(driver), options, &program)?);
        }
        let (theirs, ours) = (medians(&theirs), medians(&ours));
        print_row(driver, "bagpipe-bgp", theirs.map(millis));
        print_row(driver, "chanter", ours.map(millis));
        print_row(
            driver,
            "ratio",
            theirs
                .into_iter()
                .zip(ours)
                .map(|(theirs, ours)| ratio(theirs, ours)),
        );
    }
    Ok(())
}

/// The middle one of the rounds, for each figure by itself.
fn medians(rounds: &[Figures]) -> Figures {
    std::array::from_fn(|figure| {
        let mut of_all: Vec<Duration> = rounds.iter().map(|round| round[figure]).collect();
        of_all.sort();
        of_all[of_all.len() / 2]
    })
}

fn print_row(driver: &str, daemon: &str, cells: impl IntoIterator<Item = String>) {
    println!(
        "| {driver} | {daemon} | {} |",
        cells.into_iter().collect::<Vec<_>>().join(" | ")
    );
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn ratio(theirs: Duration, ours: Duration) -> String {
    format!("{:.1}", theirs.as_secs_f64() / ours.as_secs_f64())
}

fn measure(
    subject: Subject,
    options: &AttachOptions,
    program: &std::path::Path,
) -> Result<Figures> {
    let mut figures = None;
    let outcome = in_lab(|lab| {
        figures = Some(Bench::start(lab, subject, program.to_owned())?.run(options)?);
        Ok(())
    });
    outcome.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
    figures.context("no figures")
}

/// One daemon with its sink.
struct Bench {
    rest: Rest,
    sink: BgpSink,
    endpoint: Endpoint,
    _daemon: Daemon,
}

/// Kept alive while it is measured.
enum Daemon {
    Bagpipe { _running: Bagpipe },
    Chanter { _running: Agent },
}

impl Bench {
    fn start(lab: &Lab, subject: Subject, program: PathBuf) -> Result<Self> {
        let (node, peer) = (lab.node("node", 11)?, lab.node("peer", 12)?);
        let endpoint = node.endpoint("vm", "02:00:00:00:00:01", &["10.1.0.1/16"])?;
        let sink = BgpSink::listen(&peer, u16::try_from(ASN)?)?;
        let (rest, daemon) = start_daemon(lab, subject, &node, &peer, program)?;
        sink.wait_established(secs(60))?;
        Ok(Self {
            rest,
            sink,
            endpoint,
            _daemon: daemon,
        })
    }

    fn run(&self, options: &AttachOptions) -> Result<Figures> {
        // The first attach makes the instance: bridge, VXLAN device, type 3 route. It is not
        // counted.
        self.one_at_a_time(0, 1)?;
        let mut latencies = self.one_at_a_time(1, options.single)?;
        latencies.sort();
        let (answered, advertised) = self.in_a_row(1 + options.single, options.row)?;
        let quantile =
            |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
        Ok([quantile(0.50), quantile(0.99), answered, advertised])
    }

    /// Attaches one after the other, each when the one before has been advertised.
    fn one_at_a_time(&self, first: u32, count: u32) -> Result<Vec<Duration>> {
        self.rest.inside(|client| {
            let measure = |number: u32| {
                let (heard, started) = (self.sink.seen().len(), Instant::now());
                client
                    .post("/attach_localport", &self.body(number))?
                    .expect_ok()?;
                let advertised = self.sink.wait_for(mac(number), true, heard, PATIENCE)?;
                Ok(advertised.duration_since(started))
            };
            (first..first + count).map(measure).collect()
        })
    }

    /// Attaches one after the other without waiting for UPDATEs: when the last was answered, and
    /// advertised.
    fn in_a_row(&self, first: u32, count: u32) -> Result<(Duration, Duration)> {
        let bodies: Vec<Value> = (first..first + count)
            .map(|number| self.body(number))
            .collect();
        let (heard, started) = (self.sink.seen().len(), Instant::now());
        self.rest.inside(|client| {
            bodies.iter().try_for_each(|body| {
                client
                    .post("/attach_localport", body)?
                    .expect_ok()
                    .map(drop)
            })
        })?;
        let answered = started.elapsed();
        self.sink
            .wait_for_count(heard, usize::try_from(count)?, PATIENCE)?;
        let seen = self.sink.seen();
        let macs: std::collections::BTreeSet<_> =
            seen[heard..].iter().map(|seen| seen.mac).collect();
        ensure!(
            macs.len() == usize::try_from(count)?,
            "{} of {count} MAC addresses were advertised",
            macs.len()
        );
        let last = seen.last().context("nothing was advertised")?.at;
        Ok((answered, last.duration_since(started)))
    }

    fn body(&self, number: u32) -> Value {
        let [.., high, low] = number.to_be_bytes();
        let mut body = evpn_body(VNI, &self.endpoint, 0);
        body["mac_address"] = json!(mac(number).map(|octet| format!("{octet:02x}")).join(":"));
        body["ip_address"] = json!(format!("10.2.{high}.{low}"));
        body
    }
}

fn mac(number: u32) -> [u8; 6] {
    let [.., high, low] = number.to_be_bytes();
    [0x02, 0, 0, 1, high, low]
}

fn start_daemon(
    lab: &Lab,
    subject: Subject,
    node: &Node,
    peer: &Node,
    program: PathBuf,
) -> Result<(Rest, Daemon)> {
    match subject {
        Subject::Bagpipe(dataplane) => {
            let running = Bagpipe::start(lab, node, &[peer.ip()], dataplane)?;
            Ok((running.rest.clone(), Daemon::Bagpipe { _running: running }))
        }
        Subject::Chanter(driver) => {
            let peers = vec![peer.ip().into()];
            let config = AgentConfig {
                peers,
                driver,
                program: Some(program),
                ..AgentConfig::default()
            };
            let running = Agent::start(lab, node, &config)?;
            Ok((running.rest.clone(), Daemon::Chanter { _running: running }))
        }
    }
}
