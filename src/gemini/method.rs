//! The methods of Gemini's API that the gateway offers, each with its names in gRPC, REST and telemetry.

/// Makes the enum and its tables from one row for each method.
macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident { action: $action:literal, streaming: $streaming:literal, generates: $generates:literal, operation: $operation:literal })*) => {
        /// A method that can be called. Its variant has the name that the service's proto gives it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $method,)*
        }

        impl Method {
            /// Every method.
            pub const ALL: &[Self] = &[$(Self::$method),*];

            /// Its name in the service's proto.
            pub const fn rpc(self) -> &'static str {
                match self { $(Self::$method => stringify!($method),)* }
            }

            /// Its name in REST, the last part of the path: `models/{model}:{action}`. Empty for a method that
            /// describes models.
            pub const fn action(self) -> &'static str {
                match self { $(Self::$method => $action,)* }
            }

            /// Whether its response is a stream of messages.
            pub const fn is_streaming(self) -> bool {
                match self { $(Self::$method => $streaming,)* }
            }

            /// Whether a model generates content. Then its request is validated as a prompt and may be captured, its
            /// response has to be complete, and the tokens are charged. Any other method has its model checked, and
            /// upstream decides about the rest.
            pub const fn generates(self) -> bool {
                match self { $(Self::$method => $generates,)* }
            }

            /// Its `gen_ai.operation.name` in telemetry (OpenTelemetry's GenAI conventions). Empty for a method that
            /// describes models: no model is asked for anything.
            pub const fn operation(self) -> &'static str {
                match self { $(Self::$method => $operation,)* }
            }
        }

        $(const _: () = assert!($generates || !$streaming, "the end of a stream is known from generated content only");)*
    };
}

methods! {
    /// One response when it is complete.
    GenerateContent { action: "generateContent", streaming: false, generates: true, operation: "generate_content" }
    /// The response in pieces, as the model makes it.
    StreamGenerateContent { action: "streamGenerateContent", streaming: true, generates: true, operation: "generate_content" }
    /// How many tokens a prompt has.
    CountTokens { action: "countTokens", streaming: false, generates: false, operation: "count_tokens" }
    /// The vector of a content.
    EmbedContent { action: "embedContent", streaming: false, generates: false, operation: "embeddings" }
    /// The vectors of several contents.
    BatchEmbedContents { action: "batchEmbedContents", streaming: false, generates: false, operation: "embeddings" }
    /// A page of the list of models.
    ListModels { action: "", streaming: false, generates: false, operation: "" }
    /// What one model is.
    GetModel { action: "", streaming: false, generates: false, operation: "" }
}

impl Method {
    /// The method that the service's proto gives this name.
    pub fn from_rpc(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.rpc() == name)
    }

    /// The method that REST calls by the path `models/{model}:{action}`.
    pub fn from_action(action: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| !action.is_empty() && method.action() == action)
    }

    /// Whether upstream charges for it. To count tokens is free (ai.google.dev/gemini-api/docs/tokens).
    pub const fn is_billed(self) -> bool {
        !self.describes_models() && !matches!(self, Self::CountTokens)
    }

    /// Whether it describes models.
    pub const fn describes_models(self) -> bool {
        matches!(self, Self::ListModels | Self::GetModel)
    }
}
