//! Writing OpenMetrics 1.0.

use std::fmt::{Display, Write as _};

/// What `Content-Type` says of it.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A document that grows by one family of metrics after the other.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// The kinds of metrics that renewd has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Goes up only; its samples end in `_total`.
    Counter,
    /// Says something in its labels; its samples end in `_info`.
    Info,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Info => "info",
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Gauge => "",
            Self::Counter => "_total",
            Self::Info => "_info",
        }
    }
}

impl Exposition {
    /// Begins a family, and gives what writes its samples.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# TYPE {name} {}\n# HELP {name} {}", kind.as_str(), escaped(help));
        Family { text: &mut self.0, name, kind }
    }

    /// The whole document.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

/// One family of metrics.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    kind: Kind,
}

impl Family<'_> {
    /// One sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{}{}{labels} {value}", self.name, self.kind.suffix());
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_openmetrics_wants_them() {
        let mut exposition = Exposition::default();
        exposition.family("renewd_build", Kind::Info, "Which one.").sample(&[("version", "0.1\"\n\\")], 1);
        let mut orders = exposition.family("renewd_orders", Kind::Counter, "Orders.");
        orders.sample(&[("issuer", "a"), ("result", "done")], 3);
        exposition.family("up_seconds", Kind::Gauge, "Time.").sample(&[], 1.5);
        let expected = "# TYPE renewd_build info\n# HELP renewd_build Which one.\n\
                        renewd_build_info{version=\"0.1\\\"\\n\\\\\"} 1\n\
                        # TYPE renewd_orders counter\n# HELP renewd_orders Orders.\n\
                        renewd_orders_total{issuer=\"a\",result=\"done\"} 3\n\
                        # TYPE up_seconds gauge\n# HELP up_seconds Time.\nup_seconds 1.5\n# EOF\n";
        assert_eq!(exposition.finish(), expected);
    }
}
