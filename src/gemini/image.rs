//! The rules of pictures: what an image model may be asked, and how a picture is sent.

use std::fmt;

use super::catalog::ImageModel;
use super::validate::{Options, Violations};
use super::view::{BlobView, GenerationConfigView, Modalities};

/// A value that is quoted in an error is cut here, in characters.
const QUOTED: usize = 32;

/// Checks what an image model is asked for.
pub(super) fn check(
    model: &ImageModel,
    config: Option<&GenerationConfigView<'_>>,
    options: Options,
    violations: &mut Violations,
) {
    let modalities = config.map(|config| config.response_modalities).unwrap_or_default();
    let field = "generation_config.response_modalities";
    let hint = "this model makes pictures: ask for IMAGE, or for TEXT and IMAGE";
    if !modalities.is_empty() && !modalities.contains(Modalities::IMAGE) {
        violations.add(field, "MODALITY_IMAGE_MISSING", format_args!("{hint}; left out, it is TEXT and IMAGE"));
    }
    if modalities.is_empty() && !options.image_default_modalities {
        violations.add(field, "MODALITY_IMAGE_MISSING", hint);
    }
    let Some(config) = config else { return };
    if let Some(ratio) = config.aspect_ratio
        && !model.aspect_ratios.iter().any(|known| known == ratio)
    {
        let field = "generation_config.image_config.aspect_ratio";
        let allowed = model.aspect_ratios.join(", ");
        violations.add(field, "ASPECT_RATIO_UNKNOWN", format_args!("{} is none of {allowed}", quoted(ratio)));
    }
    if let Some(size) = config.image_size
        && !model.image_sizes.iter().any(|known| known == size)
    {
        let field = "generation_config.image_config.image_size";
        let sizes = &model.image_sizes;
        let description = match sizes.iter().find(|known| known.eq_ignore_ascii_case(size)) {
            _ if sizes.is_empty() => "this model makes one size only; leave image_size out".to_owned(),
            Some(known) => format!("write {known} with a capital K"),
            None => format!("{} is none of {}", quoted(size), sizes.join(", ")),
        };
        violations.add(field, "IMAGE_SIZE_UNKNOWN", description);
    }
}

/// Checks a picture, or other data, in a request.
pub(super) fn inline_data(blob: &BlobView<'_>, path: fmt::Arguments<'_>, violations: &mut Violations) {
    if blob.mime_type.is_empty() {
        violations.add(
            format_args!("{path}.mime_type"),
            "MIME_TYPE_EMPTY",
            "a MIME type is required, such as image/png",
        );
    }
    let description = match blob.data {
        [] => "the data is empty",
        [b'd', b'a', b't', b'a', b':', ..] => "this is a data: URL; send the raw bytes, without base64",
        data if is_base64_of_a_picture(data) => "this is base64 text; send the raw bytes",
        _ => return,
    };
    violations.add(format_args!("{path}.data"), "DATA_NOT_RAW", description);
}

/// Whether the data begins as the base64 of a PNG, JPEG, GIF or WebP does: no picture begins with letters like these.
fn is_base64_of_a_picture(data: &[u8]) -> bool {
    [&b"iVBORw0KGgo"[..], b"/9j/4", b"R0lGOD", b"UklGR"].iter().any(|start| data.starts_with(start))
}

fn quoted(value: &str) -> String {
    format!("{:?}", value.chars().take(QUOTED).collect::<String>())
}
