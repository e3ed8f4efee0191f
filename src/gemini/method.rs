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

            /// Its name in REST, the last part of the path: `models/{model}:{action}`.
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

            /// Its `gen_ai.operation.name` in telemetry (OpenTelemetry's GenAI conventions).
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
}

impl Method {
    /// The method that the service's proto gives this name.
    pub fn from_rpc(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.rpc() == name)
    }
}
