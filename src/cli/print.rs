//! Shows an answer as it comes, and keeps the figures.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prost::Message as _;
use prost_types::value::Kind;

use super::client::save;
use super::{Failure, output};
use crate::gemini::json;
use crate::pb::gemini::candidate::FinishReason;
use crate::pb::gemini::generate_content_response::UsageMetadata;
use crate::pb::gemini::{Candidate, GenerateContentResponse, part};

/// Shows the messages of one answer.
#[derive(Debug)]
pub(super) struct Printer {
    json: bool,
    directory: PathBuf,
    name: &'static str,
    thoughts: bool,
    started: Instant,
    first: Option<Duration>,
    chunks: usize,
    usage: UsageMetadata,
    finish: Option<String>,
    blocked: bool,
    /// Whether the last text ended in the middle of a line.
    open_line: bool,
    pub(super) saved: Vec<PathBuf>,
    pub(super) text: String,
}

impl Printer {
    /// Pictures are saved in `directory` under names that begin with `name`. Without `thoughts`, neither the texts nor the
    /// pictures of a model's thinking are shown.
    pub(super) fn new(json: bool, directory: &Path, name: &'static str, thoughts: bool) -> Self {
        Self {
            json,
            directory: directory.to_owned(),
            name,
            thoughts,
            started: Instant::now(),
            first: None,
            chunks: 0,
            usage: UsageMetadata::default(),
            finish: None,
            blocked: false,
            open_line: false,
            saved: Vec::new(),
            text: String::new(),
        }
    }

    pub(super) fn message(&mut self, message: &GenerateContentResponse) -> Result<(), Failure> {
        self.first.get_or_insert_with(|| self.started.elapsed());
        self.chunks += 1;
        if let Some(usage) = &message.usage_metadata {
            // Cumulative: the last one counts.
            self.usage = usage.clone();
        }
        self.blocked |= message.prompt_feedback.is_some();
        for candidate in &message.candidates {
            self.finish = finish_reason(candidate).or(self.finish.take());
            for part in candidate.content.iter().flat_map(|content| &content.parts) {
                self.part(part)?;
            }
        }
        if self.json {
            let line = json::to_json("mountsea.gemini.v1.GenerateContentResponse", &message.encode_to_vec());
            let line = line.map_err(|error| Failure::Run(format!("the answer has no JSON form: {error}")))?;
            output::line(String::from_utf8_lossy(&line))?;
        }
        Ok(())
    }

    fn part(&mut self, part: &crate::pb::gemini::Part) -> Result<(), Failure> {
        match &part.data {
            // What a model thinks is no answer: a draft of a picture must not pass for the result.
            _ if part.thought && !self.thoughts => {}
            Some(part::Data::Text(text)) if part.thought => self.write(&dim(text))?,
            Some(part::Data::Text(text)) => {
                self.text.push_str(text);
                self.write(text)?;
            }
            Some(part::Data::InlineData(blob)) if !self.json => {
                let name = if part.thought { "thought" } else { self.name };
                let path = save(&self.directory, name, blob)?;
                self.line(&format!("saved {} ({})", path.display(), describe(&blob.mime_type, &blob.data)))?;
                if !part.thought {
                    self.saved.push(path);
                }
            }
            Some(part::Data::FunctionCall(call)) => {
                let args = call.args.as_ref().map(prost::Message::encode_to_vec).unwrap_or_default();
                let args = json::to_json("google.protobuf.Struct", &args).unwrap_or_default();
                self.line(&format!("{}({})", call.name, String::from_utf8_lossy(&args)))?;
            }
            Some(part::Data::ExecutableCode(code)) => self.line(&code.code)?,
            Some(part::Data::CodeExecutionResult(result)) => self.line(&result.output)?,
            _ => {}
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        if self.json || text.is_empty() {
            return Ok(());
        }
        self.open_line = !text.ends_with('\n');
        output::print(text)
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.end_line()?;
        self.write(&format!("{text}\n"))
    }

    /// Goes to the start of a line.
    pub(super) fn end_line(&mut self) -> Result<(), Failure> {
        if self.open_line { self.write("\n") } else { Ok(()) }
    }

    /// The figures of the call in one line.
    pub(super) fn summary(&self, request_id: &str) -> String {
        let finish = match &self.finish {
            Some(finish) => finish,
            None if self.blocked => "prompt blocked",
            None => "no finish reason",
        };
        let usage = &self.usage;
        let thoughts = match usage.thoughts_token_count {
            0 => String::new(),
            n => format!(" + {n} thinking"),
        };
        format!(
            "{finish}, {} tokens in, {} out{thoughts}, first chunk after {:.0?}, {} in {:.2?}, request {request_id}",
            usage.prompt_token_count,
            usage.candidates_token_count,
            self.first.unwrap_or_default(),
            if self.chunks == 1 { "1 chunk".to_owned() } else { format!("{} chunks", self.chunks) },
            self.started.elapsed(),
        )
    }
}

/// Why a candidate ended, by name. A reason that the contract lacks arrives in `additional_fields`.
fn finish_reason(candidate: &Candidate) -> Option<String> {
    if candidate.finish_reason() != FinishReason::Unspecified {
        return Some(candidate.finish_reason().as_str_name().to_owned());
    }
    match candidate.additional_fields.as_ref()?.fields.get("finishReason")?.kind.as_ref()? {
        Kind::StringValue(name) => Some(name.clone()),
        _ => None,
    }
}

/// A picture's kind, size and dimensions.
pub(super) fn describe(mime_type: &str, data: &[u8]) -> String {
    let size = imagesize::blob_size(data).ok();
    let dimensions = size.map(|size| format!("{}x{}, ", size.width, size.height)).unwrap_or_default();
    format!("{mime_type}, {dimensions}{} KiB", data.len().div_ceil(1024))
}

/// Whether standard output takes colours.
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn dim(text: &str) -> String {
    if colours() { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
}

pub(super) fn bold(text: &str) -> String {
    if colours() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}
