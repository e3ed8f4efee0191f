//! The rules of pictures: what an image model may be asked, and how a picture is sent.

use std::borrow::Cow;
use std::fmt;

use super::Options;
use super::violation::Violations;
use crate::gemini::catalog::ImageModel;
use crate::gemini::steps::Steps;
use crate::gemini::view::{BlobView, GenerationConfigView, Modalities, ReadError, Shortcut};
use crate::pb::gemini::image_response_format::{AspectRatio, ImageSize};

/// A value that an error quotes is cut after this many characters.
const MAX_QUOTED_CHARS: usize = 32;

/// Checks what an image model is asked for.
pub(super) fn check(
    model: &ImageModel,
    config: Option<&GenerationConfigView<'_>>,
    options: Options<'_>,
    violations: &mut Violations,
    steps: &mut Steps<'_>,
) -> Result<(), ReadError> {
    let modalities = config.map(|config| config.response_modalities).unwrap_or_default();
    let field = "generation_config.response_modalities";
    let hint = "this model makes pictures: ask for IMAGE, or for TEXT and IMAGE";
    if !modalities.is_empty() && !modalities.contains(Modalities::IMAGE) {
        violations.add(field, "MODALITY_IMAGE_MISSING", format_args!("{hint}; left out, it is TEXT and IMAGE"));
    }
    if modalities.is_empty() && !options.image_default_modalities {
        violations.add(field, "MODALITY_IMAGE_MISSING", hint);
    }
    let Some(config) = config else { return Ok(()) };
    if let Some(value) = config.aspect_ratio {
        ratio(model, "image_config.aspect_ratio", value, violations);
    }
    if let Some(value) = config.image_size {
        size(model, "image_config.image_size", value, violations);
    }
    // The same settings in their newer place, by number. 0 is the model's default.
    if let Some(number) = config.format_aspect_ratio.filter(|number| *number != 0) {
        ratio(model, "response_format.image.aspect_ratio", &format_ratio(number), violations);
    }
    if let Some(number) = config.format_image_size.filter(|number| *number != 0) {
        size(model, "response_format.image.image_size", &format_size(number), violations);
    }
    if options.path_model.is_some() {
        config.shortcuts(steps, &mut |shortcut, value| match shortcut {
            Shortcut::AspectRatio => ratio(model, "aspect_ratio", value, violations),
            Shortcut::ImageSize => size(model, "image_size", value, violations),
        })?;
    }
    Ok(())
}

/// Checks a ratio that stands at `field` of the generation config.
fn ratio(model: &ImageModel, field: &str, ratio: &str, violations: &mut Violations) {
    let ratios = &model.aspect_ratios;
    if !ratios.iter().any(|known| known == ratio) {
        let description = format!("{} is none of {}", quoted(ratio), ratios.join(", "));
        violations.add(format_args!("generation_config.{field}"), "ASPECT_RATIO_UNKNOWN", description);
    }
}

/// Checks a size that stands at `field` of the generation config.
fn size(model: &ImageModel, field: &str, size: &str, violations: &mut Violations) {
    let sizes = &model.image_sizes;
    if sizes.iter().any(|known| known == size) {
        return;
    }
    let description = match sizes.iter().find(|known| known.eq_ignore_ascii_case(size)) {
        _ if sizes.is_empty() => "this model makes one size only; leave image_size out".to_owned(),
        Some(known) => format!("write {known} with a capital K"),
        None => format!("{} is none of {}", quoted(size), sizes.join(", ")),
    };
    violations.add(format_args!("generation_config.{field}"), "IMAGE_SIZE_UNKNOWN", description);
}

/// An `ImageResponseFormat.AspectRatio` as `image_config` writes it; the number itself if the contract has no such value.
fn format_ratio(number: i32) -> Cow<'static, str> {
    let ratio = match AspectRatio::try_from(number) {
        Ok(AspectRatio::OneByOne) => "1:1",
        Ok(AspectRatio::TwoByThree) => "2:3",
        Ok(AspectRatio::ThreeByTwo) => "3:2",
        Ok(AspectRatio::ThreeByFour) => "3:4",
        Ok(AspectRatio::FourByThree) => "4:3",
        Ok(AspectRatio::FourByFive) => "4:5",
        Ok(AspectRatio::FiveByFour) => "5:4",
        Ok(AspectRatio::NineBySixteen) => "9:16",
        Ok(AspectRatio::SixteenByNine) => "16:9",
        Ok(AspectRatio::TwentyOneByNine) => "21:9",
        Ok(AspectRatio::OneByEight) => "1:8",
        Ok(AspectRatio::EightByOne) => "8:1",
        Ok(AspectRatio::OneByFour) => "1:4",
        Ok(AspectRatio::FourByOne) => "4:1",
        Ok(AspectRatio::Unspecified) | Err(_) => return number.to_string().into(),
    };
    ratio.into()
}

/// An `ImageResponseFormat.ImageSize` as `image_config` writes it; the number itself if the contract has no such value.
fn format_size(number: i32) -> Cow<'static, str> {
    let size = match ImageSize::try_from(number) {
        Ok(ImageSize::FiveTwelve) => "512",
        Ok(ImageSize::OneK) => "1K",
        Ok(ImageSize::TwoK) => "2K",
        Ok(ImageSize::FourK) => "4K",
        Ok(ImageSize::Unspecified) | Err(_) => return number.to_string().into(),
    };
    size.into()
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
    format!("{:?}", value.chars().take(MAX_QUOTED_CHARS).collect::<String>())
}
