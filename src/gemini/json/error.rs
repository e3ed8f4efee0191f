//! The error of the translator: what is wrong with a message, and in which field.

use std::fmt;

use crate::gemini::steps::Interrupted;
use crate::gemini::wire::WireError;

/// A message that cannot be translated: the problem and the path of the field that has it.
///
/// Its text contains field names and limits, never values: those may be prompts or keys.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    /// From the innermost segment to the outermost, since they are added while the error is returned.
    path: Vec<Segment>,
    problem: Problem,
    /// Where reading ended in the JSON of a request, in bytes.
    offset: Option<usize>,
}

#[derive(Clone, PartialEq, Eq)]
enum Segment {
    Field(Box<str>),
    Index(usize),
}

/// What is wrong with a message. The texts reach callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the protobuf bytes end inside a value")]
    TruncatedWire,
    #[error("a protobuf varint is longer than 10 bytes")]
    OverlongVarint,
    #[error("a protobuf tag is not valid")]
    InvalidTag,
    #[error("the protobuf wire type does not fit the field")]
    WireType,
    #[error("the string is not valid UTF-8")]
    Utf8,
    #[error("the message nests deeper than {} levels", super::MAX_DEPTH)]
    TooDeep,
    #[error("NaN and infinity have no form in JSON; give a finite number")]
    NotFinite,
    #[error("the duration is out of range: ±315576000000 s, with nanoseconds of the same sign")]
    Duration,
    #[error("the time is out of range: years 1 to 9999, 0 to 999999999 nanoseconds")]
    Timestamp,
    #[error("the name {0:?} is a member of the message already; set that field instead")]
    Collision(&'static str),
    #[error(
        "the request contains more than {0} elements (contents, parts, tools and everything else in lists and maps); \
         send fewer, or raise GEMINI_GRPC_MAX_ELEMENTS"
    )]
    TooManyElements(usize),
    #[error("one message of the request is split into too many pieces, or a map has too many keys")]
    TooFragmented,
    #[error("the translation would be longer than 8 times the message and 8 MiB; send fewer short values")]
    TooLong,
    #[error("the JSON ends too early")]
    TruncatedJson,
    #[error("the JSON is not well formed")]
    Syntax,
    #[error("something follows the JSON value")]
    TrailingData,
    #[error("the member is given twice")]
    Duplicate,
    #[error("another member of the oneof {0:?} is given too; only one may be")]
    Oneof(&'static str),
    #[error("{0} was expected")]
    Expected(&'static str),
    #[error("the translation was interrupted")]
    Interrupted,
    #[error("there is no memory for the translation")]
    NoMemory,
    #[error("there is no message of that name")]
    UnknownMessage,
    #[error("the number does not fit {0}")]
    OutOfRange(&'static str),
}

impl Problem {
    /// Whether it is one of a value that is valid JSON.
    pub(super) fn is_about_value(self) -> bool {
        matches!(self, Self::Expected(_) | Self::OutOfRange(_) | Self::Oneof(_))
    }
}

impl Error {
    /// Not inlined, so that the code of the successful paths stays small.
    #[cold]
    #[inline(never)]
    pub(super) fn new(problem: Problem) -> Self {
        Self(Box::new(Inner { path: Vec::new(), problem, offset: None }))
    }

    #[cold]
    /// Adds a field name in front of the path.
    pub(super) fn in_field(mut self, name: &str) -> Self {
        self.0.path.push(Segment::Field(name.into()));
        self
    }

    #[cold]
    /// Adds the index of a list element or a map entry in front of the path.
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.0.path.push(Segment::Index(index));
        self
    }

    #[cold]
    /// Adds the offset in the JSON at which reading ended, unless it has one.
    pub(super) fn at_offset(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// What is wrong with the field.
    pub fn problem(&self) -> Problem {
        self.0.problem
    }

    /// The path of the field in proto names, such as `contents[0].parts[2].inline_data`; empty for the message itself.
    /// An entry of a map or a `Struct` is named by its index, since its key may be private.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.0.path.iter().rev() {
            match segment {
                Segment::Field(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::new(match error {
            WireError::Truncated => Problem::TruncatedWire,
            WireError::OverlongVarint => Problem::OverlongVarint,
            WireError::InvalidTag => Problem::InvalidTag,
            WireError::TooDeep => Problem::TooDeep,
            WireError::Interrupted => Problem::Interrupted,
        })
    }
}

impl From<Interrupted> for Error {
    fn from(_: Interrupted) -> Self {
        Self::new(Problem::Interrupted)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "{}", self.0.problem)?;
        self.0.offset.map_or(Ok(()), |offset| write!(f, " (byte {offset} of the JSON)"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "json::Error({self})")
    }
}
