//! Log lines for operators: on standard error, where systemd takes them, or in a file.

use std::fmt;
use std::fs::File;
use std::sync::Mutex;

use anyhow::Context;
use chanter_api::LogRing;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogConfig, LogFormat};

/// Sends log lines where the configuration says, and warnings into `ring` as well.
pub(super) fn init(config: &LogConfig, ring: LogRing) -> anyhow::Result<()> {
    // Libraries below are heard only when something is wrong.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("chanter", LevelFilter::from_level(config.level));
    // systemd says so when standard error is the journal, which has its own times and levels.
    let journal = config.file.is_none() && std::env::var_os("JOURNAL_STREAM").is_some();
    let lines = match &config.file {
        Some(path) => {
            let file = File::options().create(true).append(true).open(path);
            let file = file.with_context(|| format!("cannot log to {}", path.display()))?;
            layer(config.format, journal, Mutex::new(file))
        }
        None => layer(config.format, journal, std::io::stderr),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(ring)
        .try_init()
        .context("logging has been set up already")
}

fn layer<W>(format: LogFormat, journal: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    match format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.event_format(Line { journal }).boxed(),
    }
}

/// `TIME LEVEL message key=value ...`; in the journal `<PRIORITY>message key=value ...`.
struct Line {
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        if self.journal {
            write!(writer, "<{}>", priority(level))?;
        } else {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
            write!(writer, "{now} {level:<5} ")?;
        }
        if level >= Level::DEBUG {
            write!(writer, "{}: ", event.metadata().target())?;
        }
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// The priority of syslog, as sd-daemon(3) has it in front of a line.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}
