//! The contents of prompts and responses for telemetry that captures them. They are borrowed: telemetry copies only
//! what it records.

use std::fmt;

use super::fields::{ReadError, bytes, int32, last, next};
use super::numbers::{content, media, part};
use crate::gemini::steps::Steps;
use crate::gemini::wire::Reader;

/// The captured fields of a part. Texts were not checked: they may be invalid UTF-8.
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
    /// Reads the wire bytes of a `Part`. Returns `None` if it has no data, or data of another kind. If a `Struct`
    /// occurs several times, the last one is returned; they are not merged.
    ///
    /// # Errors
    ///
    /// The part cannot be read, or the steps ran out.
    pub fn read(part: &'w [u8], steps: &mut Steps<'_>) -> Result<Option<Self>, ReadError> {
        let (mut member, mut text, mut thought) = (0, &[][..], false);
        // The values of the captured fields of the member, in the order of `captured_fields`.
        let mut values = [None; 3];
        let mut reader = Reader::new(part);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                part::THOUGHT => thought = int32(value)? != 0,
                _ if part::DATA.contains(&number) => {
                    // Another member of the oneof replaces the one before; the same member is merged.
                    if member != number {
                        (member, values) = (number, [None; 3]);
                    }
                    text = bytes(value)?;
                    for (value, field) in values.iter_mut().zip(captured_fields(number)) {
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

/// Without the content, which may be private.
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

/// The numbers of the captured fields of a member of `Part`. At most three; `PartContent::read` relies on their order.
fn captured_fields(member: u32) -> &'static [u32] {
    match member {
        part::INLINE_DATA => &[media::BLOB_MIME_TYPE],
        part::FILE_DATA => &[media::FILE_MIME_TYPE, media::FILE_URI],
        part::FUNCTION_CALL => &[part::CALL_ID, part::CALL_NAME, part::CALL_ARGS],
        part::FUNCTION_RESPONSE => &[part::RESPONSE_ID, part::RESPONSE_NAME, part::RESPONSE_RESPONSE],
        _ => &[],
    }
}

/// The role in the wire bytes of a `Content`. It was not checked, and may be invalid UTF-8.
///
/// # Errors
///
/// The content cannot be read, or the steps ran out.
pub fn role<'w>(content: &'w [u8], steps: &mut Steps<'_>) -> Result<&'w [u8], ReadError> {
    Ok(last(content, content::ROLE, steps)?.unwrap_or_default())
}
