//! What is wrong with a configuration, as the operator sees it: file, line, key, what was
//! expected, and an example or a guess at what was meant. Gathers all of it instead of stopping
//! at the first. Leaves what to do about it (exit codes, whether to run on) to the caller.

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity,
};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A file as it was read: its name as the operator gave it, and its text.
pub type Source = Arc<NamedSource<Arc<str>>>;

/// One thing that is wrong, or (among the warnings) doubtful.
#[derive(Clone, Debug)]
pub struct Mistake {
    message: String,
    key: Option<String>,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    source: Option<Source>,
    severity: Severity,
    is_passing: bool,
}

impl Mistake {
    /// Says what is wrong, in one line without a full stop.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: printable(&message.into()),
            key: None,
            help: None,
            labels: Vec::new(),
            source: None,
            severity: Severity::Error,
            is_passing: false,
        }
    }

    /// As [`Self::new`], about the contents of another file, at these octets of its text.
    #[must_use]
    pub fn in_file(
        path: &Path,
        text: Arc<str>,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let mut mistake = Self::new(message).at(span, "");
        mistake.source = Some(Arc::new(NamedSource::new(path.display().to_string(), text)));
        mistake
    }

    /// Nobody need have made it: something does not answer now, and may later.
    #[must_use]
    pub fn passing(mut self, is_passing: bool) -> Self {
        self.is_passing = is_passing;
        self
    }

    /// Nothing need be changed: it is only doubtful.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Whether it is only doubtful.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }

    /// Whether it may pass by itself.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.is_passing
    }

    /// Names the key it is about, tables first: `domain.next_hop`.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(printable(&key.into()));
        self
    }

    /// Points at octets of the file; an empty label only underlines.
    #[must_use]
    pub fn at(mut self, span: Range<usize>, label: &str) -> Self {
        let label = (!label.is_empty()).then(|| printable(label));
        self.labels.push(LabeledSpan::new_with_span(label, span));
        self
    }

    /// Says what to write instead, or why it has to be so.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        let help = help.into();
        let help = help.split('\n').map(printable).collect::<Vec<_>>().join("\n");
        self.help = Some(match self.help.take() {
            Some(before) => format!("{before}\n{help}"),
            None => help,
        });
        self
    }

    /// What is wrong, without place or help.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The key it is about, when it is about one.
    #[must_use]
    pub fn key_name(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The file it is about, and the line and column in it, from 1.
    #[must_use]
    pub fn position(&self) -> Option<(&str, usize, usize)> {
        let (source, offset) = (self.source.as_ref()?, self.offset()?);
        let before = source.inner().get(..offset)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((source.name(), line, column))
    }

    /// What to write instead, or why it has to be so.
    #[must_use]
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Where it stands in its file: the octet that it begins at.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.labels.iter().map(LabeledSpan::offset).next()
    }
}

/// What is quoted from a file may hold control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.key.as_ref().map(|key| Box::new(key) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// Everything that is wrong with a configuration, in the order of its lines.
#[derive(Clone, Debug)]
pub struct Mistakes {
    /// What keeps the program from starting; never empty.
    pub mistakes: Vec<Mistake>,
    /// What is merely doubtful.
    pub warnings: Vec<Mistake>,
}

impl Mistakes {
    /// The whole report, warnings first, as text for a terminal of this many columns.
    #[must_use]
    pub fn render(&self, columns: usize, colour: bool) -> String {
        let mut report = render(&self.warnings, columns, colour);
        report.push_str(&render(&self.mistakes, columns, colour));
        report
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.as_slice() {
            [one] => one.fmt(f),
            several => write!(f, "{} mistakes in the configuration", several.len()),
        }
    }
}

impl std::error::Error for Mistakes {}

impl Diagnostic for Mistakes {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let all = self.warnings.iter().chain(&self.mistakes);
        Some(Box::new(all.map(|mistake| mistake as &dyn Diagnostic)))
    }
}

/// Mistakes or warnings as text for a terminal of this many columns.
#[must_use]
pub fn render(mistakes: &[Mistake], columns: usize, colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(columns).without_syntax_highlighting();
    let mut report = String::new();
    for mistake in mistakes {
        // Writing to a String cannot fail; a source that cannot be shown costs its snippet only.
        if handler.render_report(&mut report, mistake).is_err() {
            report.push_str(&mistake.message);
        }
        report.push('\n');
    }
    report
}

/// The list that grows while a configuration is read.
#[derive(Debug)]
pub struct Report {
    source: Source,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

impl Report {
    /// An empty one, about this file.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { source, mistakes: Vec::new(), warnings: Vec::new() }
    }

    /// The program must not start with this.
    pub fn refuse(&mut self, mistake: Mistake) {
        let mistake = self.located(mistake);
        self.mistakes.push(mistake);
    }

    /// How much is wrong so far.
    #[must_use]
    pub fn mistakes(&self) -> usize {
        self.mistakes.len()
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// The operator should know of this.
    pub fn warn(&mut self, mistake: Mistake) {
        let mut warning = self.located(mistake);
        warning.severity = Severity::Warning;
        self.warnings.push(warning);
    }

    fn located(&self, mut mistake: Mistake) -> Mistake {
        if mistake.source.is_none() {
            mistake.source = Some(self.source.clone());
        }
        mistake
    }

    /// Everything, of a configuration that cannot be used.
    #[must_use]
    pub fn into_mistakes(self) -> Mistakes {
        let Self { source, mut mistakes, mut warnings } = self;
        for list in [&mut mistakes, &mut warnings] {
            // Those in other files stay together, behind those of the configuration.
            list.sort_by_key(|mistake| {
                let here = mistake.source.as_ref().is_some_and(|other| Arc::ptr_eq(other, &source));
                if here { (0, mistake.offset()) } else { (1, None) }
            });
        }
        Mistakes { mistakes, warnings }
    }

    /// The warnings, or everything when something is wrong.
    /// # Errors
    /// Everything, when something is wrong.
    pub fn finish(self) -> Result<Vec<Mistake>, Mistakes> {
        let Mistakes { mistakes, warnings } = self.into_mistakes();
        if mistakes.is_empty() { Ok(warnings) } else { Err(Mistakes { mistakes, warnings }) }
    }
}
