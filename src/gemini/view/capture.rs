//! Contents for telemetry that captures prompts and responses: borrowed, so that as little as wanted is copied.

use std::fmt;

use super::fields::{ReadError, bytes, int32, last, next};
use super::numbers::{content, media, part};
use crate::gemini::steps::Steps;
use crate::gemini::wire::Reader;

/// What is captured of a part. Its texts were not checked: they need not be UTF-8.
#[derive(Clone, Copy)]
pub enum PartContent<'w> {
    Text {
        text: &'w [u8],
        thought: bool,
    },
    InlineData {
        mime_type: &'w [u8],
    },
    FileData {
        mime_type: &'w [u8],
        uri: &'w [u8],
    },
    /// The arguments are the wire bytes of a `Struct`.
    FunctionCall {
        id: &'w [u8],
        name: &'w [u8],
        args: Option<&'w [u8]>,
    },
    /// The response is the wire bytes of a `Struct`.
    FunctionResponse {
        id: &'w [u8],
        response: Option<&'w [u8]>,
    },
}

impl<'w> PartContent<'w> {
    /// Reads the wire bytes of a `Part`; `None` if it has no data, or data of another kind. Of a struct in several
    /// places, the last one is kept.
    pub fn read(part: &'w [u8], steps: &mut Steps<'_>) -> Result<Option<Self>, ReadError> {
        let (mut member, mut text, mut thought) = (0, &[][..], false);
        // The values of the fields that `fields` names, of the message that is the member.
        let mut values = [None; 3];
        let mut reader = Reader::new(part);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                part::THOUGHT => thought = int32(value)? != 0,
                _ if part::DATA.contains(&number) => {
                    if member != number {
                        (member, values) = (number, [None; 3]);
                    }
                    text = bytes(value)?;
                    for (value, field) in values.iter_mut().zip(fields(number)) {
                        *value = last(text, *field, steps)?.or(*value);
                    }
                }
                _ => {}
            }
        }
        let [first, second, third] = values;
        let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
        Ok(match member {
            part::TEXT => Some(Self::Text { text, thought }),
            part::INLINE_DATA => Some(Self::InlineData { mime_type: first }),
            part::FILE_DATA => Some(Self::FileData { mime_type: first, uri: second }),
            part::FUNCTION_CALL => Some(Self::FunctionCall { id: first, name: second, args: third }),
            part::FUNCTION_RESPONSE => Some(Self::FunctionResponse { id: first, response: third }),
            _ => None,
        })
    }
}

/// Without prompts.
impl fmt::Debug for PartContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text { .. } => "Text",
            Self::InlineData { .. } => "InlineData",
            Self::FileData { .. } => "FileData",
            Self::FunctionCall { .. } => "FunctionCall",
            Self::FunctionResponse { .. } => "FunctionResponse",
        })
    }
}

/// The fields that are captured of a member, in the order in which they are taken out of the values.
fn fields(member: u32) -> &'static [u32] {
    match member {
        part::INLINE_DATA => &[media::BLOB_MIME_TYPE],
        part::FILE_DATA => &[media::FILE_MIME_TYPE, media::FILE_URI],
        part::FUNCTION_CALL => &[part::CALL_ID, part::CALL_NAME, part::CALL_ARGS],
        part::FUNCTION_RESPONSE => &[part::RESPONSE_ID, part::RESPONSE_NAME, part::RESPONSE_RESPONSE],
        _ => &[],
    }
}

/// The role of the wire bytes of a `Content`; it was not checked and need not be UTF-8.
pub fn role<'w>(content: &'w [u8], steps: &mut Steps<'_>) -> Result<&'w [u8], ReadError> {
    Ok(last(content, content::ROLE, steps)?.unwrap_or_default())
}
