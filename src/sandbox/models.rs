//! The models of the sandbox, as in the routing table of Mountsea's documentation.

use super::error::Error;

/// A model as it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) name: String,
    /// What an image model is routed to, and what it can do.
    pub(super) image: Option<&'static ImageModel>,
    /// The misbehaviour that the name asks for: `sandbox-429`.
    pub(super) fault: Option<String>,
}

#[derive(Debug)]
pub(super) struct ImageModel {
    ids: &'static [&'static str],
    /// Its name in answers and errors.
    pub(super) native: &'static str,
    wide: bool,
    sizes: &'static [&'static str],
    /// Whether it sends a small picture as a thought before a large one.
    pub(super) drafts: bool,
}

/// The models of Mountsea's documentation, then the ids that Google has released.
const IMAGE_MODELS: [ImageModel; 7] = [
    ImageModel {
        ids: &["gemini-2.5-flash-image", "nano-banana-fast"],
        native: "NanoBananaFast",
        wide: false,
        sizes: &[],
        drafts: false,
    },
    ImageModel {
        ids: &["gemini-3.1-flash-image-preview", "nano-banana-2"],
        native: "NanoBanana2",
        wide: true,
        sizes: &["1K", "2K", "4K"],
        drafts: false,
    },
    ImageModel {
        ids: &["gemini-3-pro-image-preview", "nano-banana-pro"],
        native: "NanoBananaPro",
        wide: false,
        sizes: &["1K", "2K", "4K"],
        drafts: false,
    },
    ImageModel {
        ids: &["gemini-3.1-flash-image"],
        native: "Gemini31FlashImage",
        wide: true,
        sizes: &["512", "1K", "2K", "4K"],
        drafts: false,
    },
    ImageModel {
        ids: &["gemini-3-pro-image"],
        native: "Gemini3ProImage",
        wide: false,
        sizes: &["1K", "2K", "4K"],
        drafts: false,
    },
    ImageModel {
        ids: &["gemini-3.1-flash-lite-image"],
        native: "Gemini31FlashLiteImage",
        wide: true,
        sizes: &["1K"],
        drafts: false,
    },
    // Seen with this one: googleapis/js-genai#1461.
    ImageModel {
        ids: &["gemini-nano-banana-2.1"],
        native: "NanoBanana21",
        wide: true,
        sizes: &["1K", "2K", "4K"],
        drafts: true,
    },
];

/// Text models that are listed; any name that begins like one of Google's is answered.
pub(super) const TEXT_MODELS: [&str; 4] =
    ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview", "gemini-3-pro-preview"];

/// Models that make vectors, and how many values theirs have.
const EMBEDDING_MODELS: [(&str, usize); 2] = [("gemini-embedding-001", 3072), ("text-embedding-004", 768)];

impl Model {
    pub(super) fn named(name: &str) -> Result<Self, Error> {
        let image = IMAGE_MODELS.iter().find(|model| model.ids.contains(&name));
        let fault = name.strip_prefix("sandbox-").map(str::to_owned);
        let known = image.is_some() || fault.is_some() || dimensions(name).is_some();
        if !known && !name.starts_with("gemini-") && !name.starts_with("gemma-") {
            return Err(Error::not_found(format!("models/{name} is not found for API version v1beta")));
        }
        Ok(Self { name: name.to_owned(), image, fault })
    }

    /// Refuses an action that the model does not have, in Google's words. A model that misbehaves has all of them.
    pub(super) fn check(&self, action: &str) -> Result<(), Error> {
        let embeds = matches!(action, "embedContent" | "batchEmbedContents");
        if self.fault.is_some() || action == "countTokens" || embeds == dimensions(&self.name).is_some() {
            return Ok(());
        }
        Err(Error::not_found(format!(
            "models/{} is not found for API version v1beta, or is not supported for {action}. Call ListModels to see the list of available models and their supported methods.",
            self.name
        )))
    }

    /// How many values the vectors of the model have.
    pub(super) fn dimensions(&self) -> usize {
        dimensions(&self.name).unwrap_or(768)
    }

    /// The actions that a list shows.
    pub(super) fn actions(&self) -> &'static [&'static str] {
        match dimensions(&self.name) {
            Some(_) => &["embedContent", "batchEmbedContents", "countTokens"],
            None => &["generateContent", "streamGenerateContent", "countTokens"],
        }
    }

    /// Models of the third generation sign their thoughts.
    pub(super) fn signs(&self) -> bool {
        self.name.contains("-3") || self.image.is_some()
    }

    pub(super) fn version(&self) -> String {
        match self.image {
            Some(image) => format!("sandbox/{} ({})", self.name, image.native),
            None => format!("sandbox/{}", self.name),
        }
    }
}

impl ImageModel {
    /// The ratio as two numbers, if this model makes it.
    pub(super) fn ratio(&self, text: &str) -> Option<(u32, u32)> {
        const NARROW: [&str; 10] = ["1:1", "4:3", "3:2", "2:3", "5:4", "4:5", "3:4", "16:9", "9:16", "21:9"];
        const WIDE: [&str; 4] = ["1:4", "4:1", "1:8", "8:1"];
        let known = NARROW.contains(&text) || (self.wide && WIDE.contains(&text));
        if !known {
            return None;
        }
        let (width, height) = text.split_once(':')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    }

    /// The side of a square of that size in pixels, if this model makes it.
    pub(super) fn side(&self, text: &str) -> Option<u32> {
        match text {
            _ if !self.sizes.contains(&text) => None,
            "512" => Some(512),
            "2K" => Some(2048),
            "4K" => Some(4096),
            _ => Some(1024),
        }
    }
}

fn dimensions(name: &str) -> Option<usize> {
    EMBEDDING_MODELS.iter().find(|(known, _)| *known == name).map(|(_, dimensions)| *dimensions)
}

/// The names of every model that is listed.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let images = IMAGE_MODELS.iter().flat_map(|model| model.ids.iter().copied());
    TEXT_MODELS.into_iter().chain(images).chain(EMBEDDING_MODELS.iter().map(|(name, _)| *name))
}
