//! The built-in image models, for each upstream whose documentation lists them.

use super::ImageModel;

const RATIOS: [&str; 10] = ["1:1", "4:3", "3:2", "2:3", "5:4", "4:5", "3:4", "16:9", "9:16", "21:9"];
const WIDE_RATIOS: [&str; 4] = ["1:4", "4:1", "1:8", "8:1"];
const SIZES: [&str; 3] = ["1K", "2K", "4K"];

/// The upstream whose image models are built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The table of Mountsea's documentation (docs.mountsea.ai/api-reference/gemini/image).
    #[default]
    Mountsea,
    /// The models of Google's documentation (ai.google.dev/gemini-api/docs/image-generation), under Google's ids.
    Google,
}

impl Profile {
    /// The rows of the profile, in the order of the documentation.
    pub(super) fn rows(self) -> Vec<ImageModel> {
        match self {
            Self::Mountsea => vec![
                row(&["gemini-2.5-flash-image", "nano-banana-fast"], "NanoBananaFast", false, &[]),
                row(&["gemini-3.1-flash-image-preview", "nano-banana-2"], "NanoBanana2", true, &SIZES),
                row(&["gemini-3-pro-image-preview", "nano-banana-pro"], "NanoBananaPro", false, &SIZES),
            ],
            Self::Google => vec![
                row(&["gemini-2.5-flash-image", "gemini-2.5-flash-image-preview"], "", false, &[]),
                // The only one that takes 512. Google refuses "512px" and "0.5K".
                row(
                    &["gemini-3.1-flash-image", "gemini-3.1-flash-image-preview"],
                    "",
                    true,
                    &["512", "1K", "2K", "4K"],
                ),
                row(&["gemini-3.1-flash-lite-image"], "", true, &["1K"]),
                row(&["gemini-3-pro-image", "gemini-3-pro-image-preview"], "", false, &SIZES),
                row(&["gemini-nano-banana-2.1"], "", true, &SIZES),
            ],
        }
    }
}

fn row(ids: &[&str], native: &str, wide: bool, sizes: &[&str]) -> ImageModel {
    let ratios = RATIOS.iter().chain(WIDE_RATIOS.iter().filter(|_| wide));
    ImageModel {
        ids: ids.iter().map(ToString::to_string).collect(),
        native: native.to_owned(),
        aspect_ratios: ratios.map(ToString::to_string).collect(),
        image_sizes: sizes.iter().map(ToString::to_string).collect(),
        prices: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_shows_the_data() {
        let documented = include_str!("../../../docs/models.md");
        for profile in [Profile::Mountsea, Profile::Google] {
            for row in profile.rows() {
                let ids: Vec<String> = row.ids.iter().map(|id| format!("`{id}`")).collect();
                let names = match profile {
                    Profile::Mountsea => format!("{} | {}", ids.join(" | "), row.native),
                    Profile::Google => ids.join(" "),
                };
                let sizes = if row.image_sizes.is_empty() { "none".to_owned() } else { row.image_sizes.join(" ") };
                let line = format!("| {names} | {} | {sizes} |", row.aspect_ratios.join(" "));
                assert!(documented.contains(&line), "docs/models.md lacks {line}");
            }
        }
    }
}
